//! Texts that editors and shells save in another encoding, or with a mark.

/// What some of them write before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The text in a file or an answer, without a byte order mark (for JSON: RFC 8259, 8.1). Fails with what it
/// is instead where it shows at the start.
pub(crate) fn text(bytes: &[u8]) -> Result<&[u8], &'static str> {
    match bytes {
        // With a mark of its own, or with its first character, which is ASCII in all that is read.
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
            Err("is UTF-16 text: save it as UTF-8")
        }
        _ => Ok(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf16_is_named_and_a_byte_order_mark_is_taken_away() {
        for bytes in [&b""[..], b"{}", b"\xef\xbb\xbf{}"] {
            assert_eq!(
                text(bytes).map(<[u8]>::len),
                Ok(if bytes.is_empty() { 0 } else { 2 })
            );
        }
        for bytes in [&b"\xff\xfe{\0"[..], b"\xfe\xff\0{", b"{\0}\0", b"\0{\0}"] {
            assert_eq!(text(bytes), Err("is UTF-16 text: save it as UTF-8"));
        }
    }
}
