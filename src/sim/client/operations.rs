//! The nine operations of section 7 as whoever calls them knows them: fields, answers, and what the numbers mean.
//!
//! A stranger's copy of the contract, as a platform has one: it is held against the WSDL, and shares nothing with what serves it.

/// An operation of section 7.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// `7.1`.
    pub clause: &'static str,
    /// What the specification calls it.
    pub title: &'static str,
    /// What it is for, in English.
    pub about: &'static str,
    /// Its name at the wire.
    pub name: &'static str,
    /// The fields of a request, behind Account and Password.
    pub fields: &'static [Field],
    /// The fields of an answer, behind Result.
    pub answers: &'static [&'static str],
    /// What the numbers from 3 on mean; 0, 1 and 2 are the same for all.
    results: &'static [(i32, Words)],
}

/// In Chinese and in English.
pub type Words = (&'static str, &'static str);

/// A field of a request.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name at the wire.
    pub name: &'static str,
    /// What is to be put in.
    pub about: Words,
    /// A value that does for a first attempt; empty where only the caller knows one.
    pub usual: &'static str,
    /// The values that there are, where there are but a few.
    pub choices: &'static [(&'static str, Words)],
}

const fn field(name: &'static str, about: Words, usual: &'static str) -> Field {
    Field { name, about, usual, choices: &[] }
}

const fn choice(name: &'static str, about: Words, choices: &'static [(&'static str, Words)]) -> Field {
    Field { name, about, usual: choices[0].0, choices }
}

/// Fields that every operation has.
pub const ACCOUNT: [Field; 2] =
    [field("Account", ("账户名", "the account"), ""), field("Password", ("账户密码", "its password"), "")];

const AK: Field = field("S3AK", ("子账户的 AK", "the sub-account's AK"), "");
const SK: Field = field("S3SK", ("子账户的 SK", "its SK"), "");
const NO_SUB_ACCOUNT: (i32, Words) = (3, ("子账户不存在", "no such sub-account"));
const WRONG_SECRET: (i32, Words) = (4, ("子账户校验失败", "the S3SK is wrong"));
const FULL: Words = ("用户空间不足", "the account has not enough space left");

/// All of them, in the order of their clauses.
pub const OPERATIONS: [Operation; 9] = [
    Operation {
        clause: "7.1",
        title: "用户空间查询",
        about: "space of the account",
        name: "QueryUserSpace",
        fields: &[],
        answers: &["TotalSpace", "FreeSpace"],
        results: &[],
    },
    Operation {
        clause: "7.2",
        title: "子账户开户申请",
        about: "open a sub-account for a camera",
        name: "OpenSubAccount",
        fields: &[field("StorageSpace", ("空间大小，GB", "its space, GB"), "1")],
        answers: &["S3AK", "S3SK", "S3URL", "S3RecordBucket", "S3PictureBucket"],
        results: &[(3, FULL), (4, ("子账户数已达上限", "the account has as many sub-accounts as it may"))],
    },
    Operation {
        clause: "7.3",
        title: "子账户注销",
        about: "close a sub-account; all its files go",
        name: "CloseSubAccount",
        fields: &[AK, SK],
        answers: &[],
        results: &[NO_SUB_ACCOUNT, WRONG_SECRET],
    },
    Operation {
        clause: "7.4",
        title: "子账户空间查询",
        about: "space of a sub-account",
        name: "QuerySubAccountSpace",
        fields: &[AK, SK],
        answers: &["TotalSpace", "FreeSpace"],
        results: &[NO_SUB_ACCOUNT, WRONG_SECRET],
    },
    Operation {
        clause: "7.5",
        title: "子账户空间修改",
        about: "give a sub-account another space",
        name: "ModifySubAccountSpace",
        fields: &[AK, SK, field("NewStorageSpace", ("新的空间大小，GB", "its new space, GB"), "2")],
        answers: &[],
        results: &[NO_SUB_ACCOUNT, WRONG_SECRET, (5, FULL)],
    },
    Operation {
        clause: "7.6",
        title: "子账户空间管理策略",
        about: "what happens when it is full",
        name: "SetSubAccountSpacePolicy",
        fields: &[
            AK,
            SK,
            choice(
                "SpaceLoop",
                ("空间满时", "when it is full"),
                &[("1", ("循环覆盖", "overwrite the oldest")), ("0", ("停止写入", "take nothing more"))],
            ),
        ],
        answers: &[],
        results: &[NO_SUB_ACCOUNT, WRONG_SECRET],
    },
    Operation {
        clause: "7.7",
        title: "子账户文件检索",
        about: "find files by date",
        name: "SearchSubAccountFiles",
        fields: &[
            AK,
            SK,
            field("StartDateTime", ("开始时间", "from this second on"), "2014-01-01 00:00:00"),
            field("EndDateTime", ("结束时间", "up to this second"), "2099-12-31 23:59:59"),
            field("PageNo", ("页码，从 1 开始", "page, from 1"), "1"),
            field("PageSize", ("每页文件数", "files a page"), "20"),
            choice("Type", ("类型", "kind"), &[("0", ("录像", "recordings")), ("1", ("图片", "pictures"))]),
        ],
        answers: &["TotalFileNum", "FileInfoList"],
        results: &[NO_SUB_ACCOUNT, WRONG_SECRET],
    },
    Operation {
        clause: "7.8",
        title: "子账户文件锁定",
        about: "lock a file, or unlock it",
        name: "LockSubAccountFile",
        fields: &[
            AK,
            SK,
            field("FileName", ("文件名", "the file's name"), ""),
            choice("LockFlag", ("锁定标志", "locked?"), &[("1", ("锁定", "lock it")), ("0", ("解锁", "unlock it"))]),
        ],
        answers: &[],
        results: &[NO_SUB_ACCOUNT, WRONG_SECRET, (5, ("文件不存在", "no such file"))],
    },
    Operation {
        clause: "7.9",
        title: "一键全部清除",
        about: "delete every file that is not locked",
        name: "ClearSubAccountFiles",
        fields: &[AK, SK],
        answers: &[],
        results: &[
            NO_SUB_ACCOUNT,
            WRONG_SECRET,
            (5, ("没有可删除的文件", "there is no file to delete")),
            (6, ("循环覆盖模式下不可清除", "not while the oldest are overwritten (7.6)")),
        ],
    },
];

/// Fields that nobody shall see who was not meant to.
pub const SECRETS: [&str; 2] = ["Password", "S3SK"];

// === impl Operation ===

impl Operation {
    /// By name, whatever its case, or by clause.
    pub fn find(text: &str) -> Option<&'static Self> {
        OPERATIONS.iter().find(|operation| operation.name.eq_ignore_ascii_case(text) || operation.clause == text)
    }

    /// The fields of a request, all of them.
    pub fn all_fields(&self) -> impl Iterator<Item = &Field> {
        ACCOUNT.iter().chain(self.fields)
    }

    /// What a Result of it means; `None` for a number that the contract does not have.
    pub fn meaning(&self, result: i32) -> Option<Words> {
        match result {
            0 => Some(("成功", "done")),
            1 => Some(("账户不存在", "no such account")),
            2 => Some(("密码错误", "the password is wrong")),
            _ => self.results.iter().find(|(number, _)| *number == result).map(|(_, words)| *words),
        }
    }

    /// The numbers that it may answer.
    pub fn results(&self) -> impl Iterator<Item = i32> {
        [0, 1, 2].into_iter().chain(self.results.iter().map(|(number, _)| *number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the elements in the type of an element of the WSDL.
    fn fields_of(wsdl: &str, element: &str) -> Vec<String> {
        let begin = format!("<xs:element name=\"{element}\">");
        let rest = wsdl.split_once(&begin).unwrap_or_else(|| panic!("the WSDL has no {element}")).1;
        let sequence = rest.split_once("</xs:sequence>").unwrap().0;
        let names = sequence.split("<xs:element name=\"").skip(1).map(|part| part.split('"').next().unwrap());
        names.map(str::to_owned).collect()
    }

    #[test]
    fn every_operation_has_the_fields_of_the_wsdl_in_their_order() {
        let wsdl = include_str!("../../soap/wsdl/video-cloud-storage.wsdl");
        for operation in &OPERATIONS {
            let names: Vec<_> = operation.all_fields().map(|field| field.name.to_owned()).collect();
            assert_eq!(fields_of(wsdl, operation.name), names);
            let answers = std::iter::once("Result").chain(operation.answers.iter().copied());
            let answer = format!("{}Response", operation.name);
            assert_eq!(fields_of(wsdl, &answer), answers.map(str::to_owned).collect::<Vec<_>>());
        }
        assert_eq!(wsdl.matches("<wsdl:operation name=").count(), 3 * OPERATIONS.len(), "and there are no others");
    }

    #[test]
    fn it_is_found_by_name_and_by_clause_and_its_numbers_have_words() {
        assert_eq!(Operation::find("7.9").unwrap().name, "ClearSubAccountFiles");
        assert_eq!(Operation::find("queryuserspace").unwrap().clause, "7.1");
        assert!(Operation::find("8.1").is_none());
        for operation in &OPERATIONS {
            for result in operation.results() {
                assert!(operation.meaning(result).is_some(), "{} {result}", operation.name);
            }
            assert!(operation.meaning(7).is_none());
        }
    }
}
