use std::process::Command;
use std::{env, thread};

/// Set in the process that this test starts to be ended.
const ENDS: &str = "OPTOGGLES_TEST_ENDS";

#[test]
fn a_panic_in_any_thread_ends_the_process_with_its_message_and_status_1() {
    if env::var_os(ENDS).is_some() {
        super::end_on_panic();
        let _ = thread::spawn(|| panic!("something is wrong")).join();
        return;
    }
    let name = thread::current().name().unwrap().to_owned();
    let mut again = Command::new(env::current_exe().unwrap());
    let again = again.args(["--exact", &name, "--nocapture"]).env(ENDS, "1");
    let output = again.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("optoggles: internal error: "), "{stderr}");
    assert!(stderr.contains("something is wrong"), "{stderr}");
}
