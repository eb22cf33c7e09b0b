use protogen_core::hl7hosts::{Matching, Request};
use protogen_sys::hl7hosts::{HostsFile, SystemNames, read};
use protogen_testkit::Dir;

fn from_loopback() -> Request<'static> {
    Request::from_peer([127, 0, 0, 1].into())
}

#[test]
fn the_system_knows_localhost() {
    let dir = Dir::new();
    let path = dir.write("hl7hosts", "localhost * * * * *\n");
    for matching in [Matching::Default, Matching::Exact] {
        let list = read(&path, matching).unwrap();
        assert!(list.decide(&from_loopback(), &SystemNames).is_allowed(), "{matching:?}");
        assert!(!list.decide(&Request::from_peer([127, 0, 0, 77].into()), &SystemNames).is_allowed());
    }
    let unknown = dir.write("unknown", "no-such-host.invalid * * * * *\n");
    let list = read(&unknown, Matching::Default).unwrap();
    assert!(!list.decide(&from_loopback(), &SystemNames).is_allowed());
}

#[test]
fn it_fails_closed_and_a_broken_new_file_keeps_the_old_list() {
    let dir = Dir::new();
    let path = dir.join("hl7hosts");
    let allows = |hosts: &HostsFile| hosts.allows(&from_loopback(), &SystemNames);
    let mut hosts = HostsFile::open(&path, Matching::Default);
    assert!(!allows(&hosts), "a missing file refuses everyone");
    let missing = hosts.reload().unwrap_err().to_string();
    assert!(
        missing.ends_with("hl7hosts: No such file or directory (os error 2); it must list who may send what")
    );

    dir.write("hl7hosts", "* * * * * *\n\nbroken line\n");
    assert!(!allows(&HostsFile::open(&path, Matching::Default)), "one syntax error refuses everyone");
    let broken = hosts.reload().unwrap_err().to_string();
    let expected =
        "hl7hosts:3: column SenApp is missing; an entry is: host cid SenApp SenFac RecApp RecFac Messages...";
    assert!(broken.ends_with(expected), "{broken}");
    assert!(!allows(&hosts));

    dir.write("hl7hosts", "127.0.0.0/8 * * * * *\n");
    hosts.reload().unwrap();
    assert!(allows(&hosts));
    dir.write("hl7hosts", "nonsense\n");
    hosts.reload().unwrap_err();
    assert!(allows(&hosts), "the old list stays in force");
    dir.write("hl7hosts", "# nobody\n");
    hosts.reload().unwrap();
    assert!(!allows(&hosts));
}
