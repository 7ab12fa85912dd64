use super::*;
use crate::wire::soap::{FaultCode, envelope};

/// A golden request, read.
pub(super) fn read<C: Call>(request: &[u8]) -> C {
    let request = envelope::read(request, Some("text/xml; charset=utf-8")).expect("a golden request");
    assert_eq!(Operation::named(&request.operation), Some(C::OPERATION));
    C::read(&request.fields, 480).expect("a golden request")
}

/// What is written has to be the golden answer, byte for byte.
pub(super) fn golden<C: Call>(result: i32, outcome: Option<&C::Outcome>, expected: &[u8]) {
    let written = render::<C>(Version::Soap11, result, outcome, 480);
    assert_eq!(written, String::from_utf8_lossy(expected));
}

fn fields(inside: &str) -> Fields {
    let text = format!("<Envelope><Body><Do>{inside}</Do></Body></Envelope>");
    envelope::read(text.as_bytes(), None).expect("an envelope").fields
}

/// A call from nothing but these fields.
pub(super) fn from_fields<C: Call>(inside: &str) -> C {
    C::read(&fields(inside), 480).unwrap_or_else(|bad| panic!("{bad}"))
}

/// The field that a call from these fields is faulted for.
pub(super) fn bad<C: Call>(inside: &str) -> BadField {
    match C::read(&fields(inside), 480) {
        Ok(_) => panic!("read: {inside}"),
        Err(bad) => bad,
    }
}

#[test]
fn an_operation_is_found_in_any_letter_case_and_no_other() {
    for operation in Operation::ALL {
        assert_eq!(Operation::named(operation.name()), Some(operation));
        assert_eq!(Operation::named(&operation.name().to_lowercase()), Some(operation));
    }
    assert_eq!(Operation::named("QueryUserSpaceRequest"), None);
    assert_eq!(Operation::named(""), None);
}

#[test]
fn every_operation_is_in_the_wsdl() {
    let wsdl = include_str!("../wsdl/video-cloud-storage.wsdl");
    for operation in Operation::ALL {
        assert!(wsdl.contains(&format!("<xs:element name=\"{}Response\">", operation.name())), "{operation:?}");
    }
}

#[test]
fn what_the_engine_says_becomes_a_result_a_fault_or_503() {
    use crate::domain::Refusal;
    use search_sub_account_files::SearchSubAccountFiles as Search;
    let said = |why| words::<Search>(Version::Soap11, Err(why), 480, || "0123456789abcdef".to_owned());
    let (reply, word) = said(Error::Refused(Refusal::WrongSecret));
    assert!(matches!(reply, Reply::Answer(text) if text.contains("<Result>4</Result><TotalFileNum>0</TotalFileNum>")));
    assert_eq!(word, "4");
    assert_eq!(said(Error::Busy("full")), (Reply::Busy, "busy".to_owned()));
    let (reply, word) = said(Error::NoRoom);
    assert!(matches!(reply, Reply::Fault(why) if why.code == FaultCode::Server && why.text.contains("disk is full")));
    assert_eq!(word, "disk full");
    let (reply, word) = said(Error::Refused(Refusal::PageTooLarge));
    assert!(matches!(reply, Reply::Fault(why) if why.code == FaultCode::Client && why.text.contains("PageSize")));
    assert_eq!(word, "fault");
    for why in [Error::Broken("sync volume 7 in /secret/place: I/O error".into()), Error::Refused(Refusal::Locked)] {
        let (reply, word) = said(why);
        assert_eq!(reply, Reply::Fault(Fault::server("the appliance failed; request 0123456789abcdef")));
        assert_eq!(word, "fault");
    }
}
