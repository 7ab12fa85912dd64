//! The parameters of a request: found by name, read with a range, faulted without repeating what came. Contract, sections 4 and 5.

use std::ops::RangeInclusive;

use crate::domain::Secret;
use crate::wire::china_time::{self, Edge};

/// One element inside the operation's.
#[derive(Debug)]
pub(super) struct Field {
    /// Local name.
    pub name: String,
    /// Its text.
    pub value: String,
    /// `xsi:nil`.
    pub nil: bool,
    /// `href="#…"` of an rpc/encoded multiRef.
    pub reference: bool,
    /// Whether there are elements inside.
    pub elements: bool,
}

/// All parameters of a request, the unknown ones too.
#[derive(Debug)]
pub struct Fields(Vec<Field>);

/// A parameter that cannot be read: which, and why. Never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} {what}")]
pub struct BadField {
    /// The field's name in the contract.
    pub name: &'static str,
    /// What is wrong with it.
    pub what: &'static str,
}

impl Fields {
    pub(super) fn new(fields: Vec<Field>) -> Self {
        Self(fields)
    }

    /// The field of this name; letter case is ignored where none is written exactly so.
    fn find(&self, name: &'static str) -> Result<Option<&Field>, BadField> {
        let bad = |what| BadField { name, what };
        let mut found = self.0.iter().filter(|field| field.name == name).peekable();
        let mut alike = self.0.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        let (first, second) =
            if found.peek().is_some() { (found.next(), found.next()) } else { (alike.next(), alike.next()) };
        let Some(field) = first else { return Ok(None) };
        if second.is_some() {
            return Err(bad("is there twice"));
        }
        if field.elements {
            return Err(bad("has elements inside"));
        }
        if field.reference {
            return Err(bad("is a reference, which is not followed"));
        }
        Ok(Some(field))
    }

    /// A field's text, outer white space cut; `None` where it is absent, empty or nil.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, BadField> {
        let field = self.find(name)?.filter(|field| !field.nil);
        Ok(field.map(|field| super::trim(&field.value)).filter(|text| !text.is_empty()))
    }

    /// A field's text as it was sent; `None` where it is absent, empty or nil. Serves 7.8 `FileName`.
    pub fn raw(&self, name: &'static str) -> Result<Option<&str>, BadField> {
        let field = self.find(name)?.filter(|field| !field.nil && !field.value.is_empty());
        Ok(field.map(|field| field.value.as_str()))
    }

    /// A password or secret key, outer white space cut; `None` where it is absent, empty or nil.
    pub fn secret(&self, name: &'static str) -> Result<Option<Secret>, BadField> {
        Ok(self.text(name)?.map(Secret::new))
    }

    /// An int of this range; `None` where it is absent. Empty and nil are errors.
    pub fn optional_int(&self, name: &'static str, range: RangeInclusive<i32>) -> Result<Option<i32>, BadField> {
        let bad = |what| BadField { name, what };
        let Some(field) = self.find(name)? else { return Ok(None) };
        let text = super::trim(&field.value);
        if field.nil || text.is_empty() {
            return Err(bad("is empty"));
        }
        let number = int(text).ok_or(bad("is not an int"))?;
        if range.contains(&number) { Ok(Some(number)) } else { Err(bad("is out of range")) }
    }

    /// An int of this range.
    pub fn int(&self, name: &'static str, range: RangeInclusive<i32>) -> Result<i32, BadField> {
        self.optional_int(name, range)?.ok_or(BadField { name, what: "is missing" })
    }

    /// Unix seconds of a date; `None`, an open end, where it is absent, empty or nil.
    pub fn date(&self, name: &'static str, edge: Edge, zone_minutes: i32) -> Result<Option<i64>, BadField> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        china_time::parse(text, edge, zone_minutes).map(Some).map_err(|_| BadField { name, what: "is not a date" })
    }
}

/// An `xs:int`: sign, leading zeros and outer white space are fine.
pub fn int(text: &str) -> Option<i32> {
    let text = super::trim(text);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(inside: &str) -> Fields {
        let text = format!(
            "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' \
             xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'><s:Body><Do>{inside}</Do></s:Body></s:Envelope>"
        );
        crate::wire::soap::envelope::read(text.as_bytes(), None).expect("an envelope").fields
    }

    #[test]
    fn a_name_is_found_in_any_namespace_and_any_case() {
        for inside in
            ["<Type>1</Type>", "<type>1</type>", "<TYPE xmlns='urn:x'>1</TYPE>", "<p:Type xmlns:p='urn:y'>1</p:Type>"]
        {
            assert_eq!(fields(inside).int("Type", 0..=1), Ok(1), "{inside}");
        }
        assert_eq!(fields("<type>0</type><Type>1</Type>").int("Type", 0..=1), Ok(1), "the exact one counts");
    }

    #[test]
    fn a_parameter_twice_or_with_elements_inside_is_unreadable() {
        let what = |inside: &str| fields(inside).text("Account").expect_err("unreadable").what;
        assert_eq!(what("<Account>a</Account><Account>a</Account>"), "is there twice");
        assert_eq!(what("<account>a</account><ACCOUNT>a</ACCOUNT>"), "is there twice");
        assert_eq!(what("<Account>a<b/></Account>"), "has elements inside");
        assert_eq!(what("<Account href='#id0'/>"), "is a reference, which is not followed");
        let extra = fields("<X><Account>no</Account></X><X/><Account>a</Account>");
        assert_eq!(extra.text("Account"), Ok(Some("a")), "unknown ones are ignored, nested or doubled");
    }

    #[test]
    fn outer_white_space_is_cut_but_of_a_raw_value() {
        let f = fields("<A> \r\n a b\t</A><B xsi:nil='true'>x</B><C/><D> </D><E xsi:nil='0'>e</E>");
        assert_eq!(f.text("A"), Ok(Some("a b")));
        assert_eq!(f.raw("A"), Ok(Some(" \n a b\t")));
        assert_eq!(f.text("B"), Ok(None));
        assert_eq!(f.raw("B"), Ok(None));
        assert_eq!(f.raw("C"), Ok(None));
        assert_eq!(f.text("D"), Ok(None));
        assert_eq!(f.raw("D"), Ok(Some(" ")));
        assert_eq!(f.text("E"), Ok(Some("e")));
        assert_eq!(f.text("F"), Ok(None));
    }

    #[test]
    fn ints_are_lenient_in_form_and_strict_in_range() {
        for (text, number) in [("7", 7), ("+7", 7), (" 007\n", 7), ("-0", 0), ("2147483647", i32::MAX), ("-5", -5)] {
            assert_eq!(fields(&format!("<N>{text}</N>")).int("N", i32::MIN..=i32::MAX), Ok(number), "{text}");
        }
        let what = |inside: &str| fields(inside).int("N", 1..=i32::MAX).expect_err("unreadable").what;
        assert_eq!(what(""), "is missing");
        assert_eq!(what("<N/>"), "is empty");
        assert_eq!(what("<N xsi:nil='1'>5</N>"), "is empty");
        assert_eq!(what("<N>0</N>"), "is out of range");
        for text in ["x", "1.0", "1e3", "+ 1", "--1", "+", "１", "2147483648", "99999999999999999999", "0x1", "1 2"] {
            assert_eq!(what(&format!("<N>{text}</N>")), "is not an int", "{text}");
        }
        assert_eq!(fields("").optional_int("N", 0..=1), Ok(None));
        assert!(fields("<N/>").optional_int("N", 0..=1).is_err());
    }

    #[test]
    fn an_empty_date_is_an_open_end() {
        let f = fields("<S/><T xsi:nil='1'/><D>1970-01-01 08:00</D><X>soon</X>");
        assert_eq!(f.date("S", Edge::Start, 480), Ok(None));
        assert_eq!(f.date("T", Edge::Start, 480), Ok(None));
        assert_eq!(f.date("U", Edge::End, 480), Ok(None));
        assert_eq!(f.date("D", Edge::Start, 480), Ok(Some(0)));
        assert_eq!(f.date("D", Edge::End, 480), Ok(Some(59)));
        assert_eq!(f.date("X", Edge::End, 480), Err(BadField { name: "X", what: "is not a date" }));
    }

    proptest! {
        #[test]
        fn every_int_is_read_back(number: i32, zeros in 0usize..30) {
            let sign = if number < 0 { "-" } else { "+" };
            let padded = format!("{sign}{}{}", "0".repeat(zeros), number.unsigned_abs());
            prop_assert_eq!(int(&padded), Some(number));
        }
    }
}
