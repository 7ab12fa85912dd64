//! The numbers of section 7: what each operation calls each refusal. Contract, section 3, "Result codes".

use super::calls::Operation;
use crate::domain::Refusal;

/// How a refusal is told to the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A Result.
    Result(i32),
    /// A Fault of the caller, in the refusal's words: the request cannot be answered as it is.
    ClientFault,
    /// A refusal that this operation cannot meet: the appliance is wrong, not the caller.
    Unforeseen,
}

/// What `operation` calls `why`. No arm takes all the rest: a new refusal does not compile until it has its word here.
pub(super) fn told(operation: Operation, why: &Refusal) -> Told {
    use Operation as O;
    use Refusal as R;
    use Told::{ClientFault, Result, Unforeseen};
    match (why, operation) {
        (R::NoAccount, _) => Result(1),
        (R::WrongPassword, _) => Result(2),
        (R::NoSubAccount, O::QueryUserSpace | O::OpenSubAccount) => Unforeseen,
        (R::NoSubAccount, _) => Result(3),
        (R::WrongSecret, O::QueryUserSpace | O::OpenSubAccount) => Unforeseen,
        (R::WrongSecret, _) => Result(4),
        (R::AccountSpace { .. }, O::OpenSubAccount) => Result(3),
        (R::AccountSpace { .. }, O::ModifySubAccountSpace) => Result(5),
        (R::TooManySubAccounts { .. }, O::OpenSubAccount) => Result(4),
        (R::NoFile, O::LockSubAccountFile) => Result(5),
        (R::NothingToClear, O::ClearSubAccountFiles) => Result(5),
        (R::LoopMode, O::ClearSubAccountFiles) => Result(6),
        (R::PageTooLarge, O::SearchSubAccountFiles) => ClientFault,
        // The contract has no number for it, and a wrong one would send people looking for a wrong password.
        (R::Suspended, _) => ClientFault,
        // It waits instead, or is busy: `Engine::sign_in_from`.
        (R::Slow { .. }, _) => Unforeseen,
        // Another operation's refusals.
        (
            R::AccountSpace { .. }
            | R::TooManySubAccounts { .. }
            | R::NoFile
            | R::NothingToClear
            | R::LoopMode
            | R::PageTooLarge,
            _,
        ) => Unforeseen,
        // Operations staff's.
        (R::AccountExists | R::HandedOut { .. } | R::User(_) | R::Billing(_) | R::Alert(_), _) => Unforeseen,
        // S3's.
        (
            R::NoBucket
            | R::BucketIsYours
            | R::BucketExists
            | R::TooManyBuckets { .. }
            | R::BucketNotEmpty
            | R::NoKey
            | R::Forbidden
            | R::Locked
            | R::Full { .. }
            | R::LargerThanTheSpace { .. }
            | R::TooLarge
            | R::NoUpload
            | R::BadPart { .. }
            | R::PartOrder
            | R::PartTooSmall { .. }
            | R::Precondition
            | R::BadDigest
            | R::NoPartChecksum { .. }
            | R::OtherChecksum { .. }
            | R::BadChecksum { .. }
            | R::OtherSize { .. }
            | R::Files(_)
            | R::WrongLength,
            _,
        ) => Unforeseen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Gigabytes;

    #[test]
    fn every_operation_has_the_numbers_of_the_contract() {
        use Operation as O;
        let free = Gigabytes::default();
        let words = [
            Refusal::NoAccount,
            Refusal::WrongPassword,
            Refusal::NoSubAccount,
            Refusal::WrongSecret,
            Refusal::AccountSpace { free },
            Refusal::TooManySubAccounts { most: 1 },
            Refusal::NoFile,
            Refusal::NothingToClear,
            Refusal::LoopMode,
        ];
        let table: [(Operation, [i32; 9]); 9] = [
            (O::QueryUserSpace, [1, 2, 0, 0, 0, 0, 0, 0, 0]),
            (O::OpenSubAccount, [1, 2, 0, 0, 3, 4, 0, 0, 0]),
            (O::CloseSubAccount, [1, 2, 3, 4, 0, 0, 0, 0, 0]),
            (O::QuerySubAccountSpace, [1, 2, 3, 4, 0, 0, 0, 0, 0]),
            (O::ModifySubAccountSpace, [1, 2, 3, 4, 5, 0, 0, 0, 0]),
            (O::SetSubAccountSpacePolicy, [1, 2, 3, 4, 0, 0, 0, 0, 0]),
            (O::SearchSubAccountFiles, [1, 2, 3, 4, 0, 0, 0, 0, 0]),
            (O::LockSubAccountFile, [1, 2, 3, 4, 0, 0, 5, 0, 0]),
            (O::ClearSubAccountFiles, [1, 2, 3, 4, 0, 0, 0, 5, 6]),
        ];
        for (operation, numbers) in table {
            for (why, number) in words.iter().zip(numbers) {
                let expected = if number == 0 { Told::Unforeseen } else { Told::Result(number) };
                assert_eq!(told(operation, why), expected, "{operation:?} {why:?}");
            }
        }
        assert_eq!(told(O::SearchSubAccountFiles, &Refusal::PageTooLarge), Told::ClientFault);
        assert_eq!(told(O::LockSubAccountFile, &Refusal::Locked), Told::Unforeseen);
        assert_eq!(told(O::OpenSubAccount, &Refusal::Suspended), Told::ClientFault);
    }
}
