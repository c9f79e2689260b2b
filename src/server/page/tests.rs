use super::*;

#[test]
fn text_is_escaped() {
    let escaped = escape("<b title='a' x=\"&\">");
    assert_eq!(escaped, "&lt;b title=&#39;a&#39; x=&quot;&amp;&quot;&gt;");
    // What turns the direction of text is shown, and no other letters.
    let turned = "a\u{202e}b\u{2066}c\u{200f}d\u{61c}e שלום é";
    let escaped = r"a\u202eb\u2066c\u200fd\u061ce שלום é";
    assert_eq!(escape(turned), escaped);
}

#[test]
fn times_are_shown_in_their_largest_unit() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    for (seconds, words) in [
        (999_990, "10 s ago"),
        (1_000_016, "in 16 s"),
        (999_700, "5 min ago"),
        (990_000, "2 h ago"),
        (500_000, "5 days ago"),
    ] {
        let shown = time(Time(at(seconds)), at(1_000_000));
        assert!(shown.contains(&format!(">{words}</time>")), "{shown}");
    }
}
