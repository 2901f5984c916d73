//! The program `ramson` by hand.

#![allow(clippy::unwrap_used)]

#[test]
fn requests_by_hand_are_checked() {
    let run = |args: &[&str]| {
        let program = env!("CARGO_BIN_EXE_ramson");
        let output = std::process::Command::new(program)
            .args(args)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    for (args, said) in [
        (&[][..], "usage"),
        (&["ctl"], "usage"),
        (&["ctl", "new-identity"], "needs a device"),
        (&["ctl", "new-identity", "12"], "12 is no device"),
        (&["ctl", "status", "now"], "no such request: status now"),
        (&["ctl", "--colour"], "no such option: --colour"),
        (&["ctl", "--config"], "--config needs a file"),
        (&["ctl", "update"], "update needs a file"),
    ] {
        let (code, _, complaint) = run(args);
        assert_eq!(code, Some(2), "{args:?}");
        assert!(complaint.contains(said), "{complaint}");
    }
    let (code, text, _) = run(&["ctl", "--help"]);
    assert!(code == Some(0) && text.contains("new-identity DEVICE|all"));
    let (code, _, complaint) = run(&["ctl", "--config", "/nowhere.toml", "devices"]);
    assert!(
        code == Some(1) && complaint.contains("/nowhere.toml"),
        "{complaint}"
    );
}
