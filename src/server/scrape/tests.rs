use super::*;

#[test]
fn a_gauge_is_text_as_prometheus_reads_it_and_without_series_there_is_none() {
    let mut text = String::new();
    add_gauge(&mut text, "none", "None.", ["a"], []);
    add_gauge(&mut text, "one", "One.", [], [([], 2.0)]);
    let series = [(["x", ""], 1.0), (["\\ \" \n é", "b"], 0.25)];
    add_gauge(&mut text, "some", "Some.", ["a", "b"], series);
    let expected = "# HELP one One.\n# TYPE one gauge\none 2\n# HELP some Some.\n# TYPE some gauge\nsome{a=\"x\"} 1\n\
                    some{a=\"\\\\ \\\" \\n é\",b=\"b\"} 0.25\n";
    assert_eq!(text, expected);
}
