use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use protogen_sys::exit::Exit;
use protogen_sys::sd_notify::Notifier;
use protogen_sys::site::{CareVue, Site};
use protogen_testkit::Dir;

fn site(variables: &[(&str, &str)]) -> Site {
    Site::from_variables(|name| variables.iter().find(|row| row.0 == name).map(|row| OsString::from(row.1)))
}

#[test]
fn every_place_moves_with_the_home() {
    let default = site(&[("PG_HOME", "")]);
    assert_eq!(default.home(), Path::new("/usr/hl7"));
    assert_eq!(default.codes(), Path::new("/usr/hl7/lib/codes"));
    let moved = site(&[("PG_HOME", "/opt/pg")]);
    assert_eq!(moved.codes(), Path::new("/opt/pg/lib/codes"));
    assert_eq!(moved.etc("hl7hosts"), Path::new("/opt/pg/etc/hl7hosts"));
    assert_eq!(moved.spool("ABL/060_IOP"), Path::new("/opt/pg/var/spool/ABL/060_IOP"));
    assert_eq!(moved.log("ABL/060_IOP"), Path::new("/opt/pg/var/log/ABL/060_IOP"));
    let codes = site(&[("PG_HOME", "/opt/pg"), ("PG_CODELIB", "/codes")]);
    assert_eq!(codes.codes(), Path::new("/codes"));
}

#[test]
fn the_administrators() {
    let dir = Dir::new();
    let home = dir.path().to_str().unwrap();
    let read = |text: &str| {
        dir.write("etc/admin", text);
        site(&[("PG_HOME", home)]).admin().map_err(|error| error.to_string().replace(home, "HOME"))
    };
    assert_eq!(read("a@b.example\n\n # night shift\nroot\r\n").unwrap(), ["a@b.example", "root"]);
    let fault = |line| {
        format!(
            "HOME/etc/admin{line}: must be the administrator's mail address, one a line (or set ADMIN, comma-separated)"
        )
    };
    assert_eq!(read("# nobody\n").unwrap_err(), fault(""));
    assert_eq!(read("a@b\n-oQ/tmp\n").unwrap_err(), fault(":2"));
    for bad in ["a b@c", "a@b@c", "@c", "a@", "a<b>@c", "a@b,c@d", "|sh@x", "a\u{e4}@x"] {
        assert_eq!(read(bad).unwrap_err(), fault(":1"), "{bad}");
    }
    let both = [("PG_HOME", home), ("ADMIN", "x@y , z@w,")];
    assert_eq!(site(&both).admin().unwrap(), ["x@y", "z@w"]);
    let wrong = site(&[("PG_HOME", home), ("ADMIN", "x y")]).admin().unwrap_err().to_string();
    assert!(wrong.starts_with("ADMIN: must be"), "{wrong}");
    let missing = site(&[("PG_HOME", "/nonexistent")]).admin().unwrap_err().to_string();
    assert!(missing.starts_with(
        "/nonexistent/etc/admin: No such file or directory (os error 2); it must hold the admin"
    ));
}

#[test]
fn the_carevue_host() {
    let dir = Dir::new();
    let home = dir.path().to_str().unwrap();
    let read = |text: &str| {
        dir.write("etc/carevue", text);
        site(&[("PG_HOME", home)]).carevue().map_err(|error| error.to_string().replace(home, "HOME"))
    };
    let host = |login: &str, host: &str| CareVue { login: login.into(), host: host.into() };
    assert_eq!(read("# the server\ncis@uks3p\n").unwrap(), host("cis", "uks3p"));
    assert_eq!(site(&[("PG_HOME", home), ("CAREVUE", "a@b")]).carevue().unwrap(), host("a", "b"));
    let fault = |line| {
        format!(
            "HOME/etc/carevue{line}: must be one line LOGIN@HOST, the CareVue host and the account on it (or set CAREVUE)"
        )
    };
    assert_eq!(read("").unwrap_err(), fault(""));
    assert_eq!(read("a@b\nc@d\n").unwrap_err(), fault(":2"));
    for bad in ["uks3p", "@uks3p", "cis@", "cis@-oProxyCommand=x", "-l@x", "cis@a;b", "cis@a b", "c'is@a"] {
        assert_eq!(read(bad).unwrap_err(), fault(":1"), "{bad}");
    }
}

#[test]
fn the_service_manager_is_told_over_either_kind_of_socket() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;
    let dir = Dir::new();
    let path = dir.join("notify");
    let named = UnixDatagram::bind(&path).unwrap();
    let abstract_name = format!("protogen-test-{}", std::process::id());
    let hidden = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&abstract_name).unwrap()).unwrap();
    for (socket, name) in [(named, path.into_os_string()), (hidden, format!("@{abstract_name}").into())] {
        let notifier = Notifier::new(Some(name));
        assert!(notifier.is_wanted());
        notifier.ready().unwrap();
        notifier.status("two\nlines\u{7}").unwrap();
        notifier.status(&"x".repeat(1000)).unwrap();
        notifier.stopping().unwrap();
        let mut text = [0; 2048];
        let mut next = || {
            let count = socket.recv(&mut text).unwrap();
            String::from_utf8_lossy(&text[..count]).into_owned()
        };
        assert_eq!(next(), format!("READY=1\nMAINPID={}", std::process::id()));
        assert_eq!(next(), "STATUS=two lines ");
        assert_eq!(next(), format!("STATUS={}", "x".repeat(512)));
        assert_eq!(next(), "STOPPING=1");
    }
    assert!(Notifier::new(Some("/nonexistent/socket".into())).ready().is_err());
    let nobody = Notifier::new(Some("".into()));
    assert!(!nobody.is_wanted());
    nobody.ready().unwrap();
}

#[test]
fn exit_statuses_are_the_documented_ones() {
    let statuses = [Exit::Done, Exit::Negative, Exit::Usage, Exit::TryLater].map(Exit::status);
    assert_eq!(statuses, [0, 1, 2, 75]);
}
