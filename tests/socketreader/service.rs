//! socketreader as a service: in the background, of init, of systemd.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use protogen_testkit::{Daemon, Dir, TestCommand};

use super::support::{Setup, adt};
use crate::support::top;

const HL7: &str = "usehl7 = True";

#[test]
fn in_the_background_with_a_pid_file() {
    let setup = Setup::new().server_in("in", HL7).file_out("out", "");
    let command = setup.command().args(["--daemon", "--pidfile", "run/pid"]);
    setup.dir.make("run");
    let mut router = setup.start_with(&command);
    let pid = router.daemon.pid().to_string();
    router.wait("the startup process", || router.daemon.stdout() == format!("{pid}\n"));
    assert_eq!(router.dir.text("run/pid"), format!("{pid}\n"));
    router.connect("in").exchange(&adt("A"), "AA A");
    // A second one: the same pid file, or only the same journal.
    let text = command.run().code(75).stderr();
    assert!(text.starts_with("socketreader: ") && text.contains("run/pid") && text.contains(&pid), "{text}");
    let text = router.command.clone().args(["--pidfile", "other"]).run().code(2).stderr();
    assert!(text.contains("cannot be used multiple times"), "{text}");
    assert!(router.daemon.terminate().success());
    assert!(!router.dir.join("run/pid").exists());
    // One that a crash left is taken over.
    router.restart();
    router.daemon.kill_9();
    assert!(router.dir.join("run/pid").exists());
    // Its threads are gone a moment after it.
    let is_free = || TestCommand::new("flock").arg("-n").arg(router.dir.join("run/pid")).arg("true").run();
    router.wait("the end of its threads", || is_free().status.success());
    router.restart();
    router.connect("in").exchange(&adt("B"), "AA B");
    router.end();
    let output = command.clone().arg("--check").run();
    output.code(2).stderr_contains("cannot be used with");
}

#[test]
fn what_keeps_it_from_the_background_is_told() {
    let setup = Setup::new().server_in("in", HL7).file_out("out", "");
    let taken = std::net::TcpListener::bind(("127.0.0.1", setup.port("in"))).unwrap();
    let output = setup.command().arg("--daemon").run();
    let text = output.code(75).stderr();
    assert!(text.contains("another program listens here already"), "{text}");
    assert!(setup.dir.text("log").contains("CRITICAL"), "{}", setup.dir.text("log"));
    drop(taken);
    let output = setup.command().args(["--daemon", "--pidfile", "no/such"]).run();
    output.code(75).stderr_contains("no/such");
}

/// An installation with the programs that are tested.
struct Home {
    dir: Dir,
}

impl Home {
    fn new() -> Home {
        let dir = Dir::new();
        dir.make("home/bin");
        dir.make("home/var");
        dir.make("home/share/systemd");
        for program in ["socketreader", "llpdrv", "cvgateway"] {
            let built = Path::new(env!("CARGO_BIN_EXE_socketreader")).with_file_name(program);
            symlink(built, dir.join(format!("home/bin/{program}"))).unwrap();
        }
        std::fs::copy(top().join("scripts/socketreader-service"), dir.join("home/bin/socketreader-service"))
            .unwrap();
        symlink("socketreader-service", dir.join("home/bin/socketReaderService")).unwrap();
        for unit in ["socketreader.service", "llpdrv@.service", "cvgateway.service"] {
            std::fs::copy(
                top().join("etc/systemd").join(unit),
                dir.join(format!("home/share/systemd/{unit}")),
            )
            .unwrap();
        }
        Home { dir }
    }

    fn path(&self) -> String {
        self.dir.join("home").display().to_string()
    }

    /// Under the name that the manual of 1.2.4 has.
    fn service(&self, arguments: &[&str]) -> TestCommand {
        TestCommand::new(self.dir.join("home/bin/socketReaderService"))
            .args(arguments)
            .in_dir(self.dir.path())
    }

    fn rooted(&self, arguments: &[&str]) -> TestCommand {
        self.service(arguments).arg("--root").arg(self.dir.join("root"))
    }

    /// The name that is remembered below the root.
    fn remembered(&self) -> Option<String> {
        let file = self.dir.join(format!("root{}/etc/socketreader-service.conf", self.path()));
        std::fs::read_to_string(file).ok()
    }
}

#[test]
fn a_service_of_init() {
    let home = Home::new();
    home.dir.make("root/etc");
    let before = "id:3:initdefault:\nh1:2345:respawn:/bin/true";
    home.dir.write("root/etc/inittab", before);
    std::fs::set_permissions(home.dir.join("root/etc/inittab"), PermissionsExt::from_mode(0o640)).unwrap();
    let inittab = || home.dir.text("root/etc/inittab");
    for action in ["start", "stop", "remove"] {
        home.rooted(&[action])
            .run()
            .code(1)
            .stderr_contains("is not installed; say: socketreader-service install");
    }
    let installed = home.rooted(&["install", "--user", "root"]).run();
    installed.success().stdout_contains("not done, because of --root: telinit q");
    let line = |action: &str| format!("sr:2345:{action}:{}/bin/socketreader-service debug\n", home.path());
    let text = inittab();
    assert!(text.starts_with(&format!("{before}\n")) && text.ends_with(&line("off")), "{text}");
    home.rooted(&["install"]).run().success().stdout_contains("installed already");
    assert_eq!(inittab(), text);
    // The first start needs the configuration, by its full path.
    let told = home.rooted(&["start"]).run();
    told.code(2).stderr_contains("say once: socketreader-service start --configfile /FULL/PATH");
    home.rooted(&["start", "--configfile", "sr.cfg"]).run().code(2).stderr_contains("must be a full path");
    home.rooted(&["start", "--configfile", "/no/such"])
        .run()
        .code(2)
        .stderr_contains("there is no such file");
    home.rooted(&["start", "--configfile", "/a\"b"]).run().code(2).stderr_contains("only letters, digits");
    home.rooted(&["stop", "--configfile", "/x"]).run().code(2).stderr_contains("belongs to start and debug");
    assert_eq!((inittab(), home.remembered()), (text.clone(), None));
    home.dir.make("root/srv");
    home.dir.write("root/srv/my sr.cfg", "");
    home.rooted(&["start", "--configfile=/srv/my sr.cfg"]).run().success();
    assert_eq!(home.remembered().unwrap(), "CONFIGFILE=\"/srv/my sr.cfg\"\n");
    assert!(inittab().ends_with(&line("respawn")), "{}", inittab());
    home.rooted(&["stop"]).run().success();
    assert!(inittab().ends_with(&line("off")), "{}", inittab());
    home.rooted(&["start"]).run().success().stdout_contains("started with /srv/my sr.cfg");
    assert!(inittab().ends_with(&line("respawn")) && inittab().contains("h1:2345:respawn:/bin/true"));
    home.rooted(&["start"]).run().success().stdout_contains("it is started already; ");
    home.rooted(&["remove"]).run().success();
    assert_eq!((inittab(), home.remembered()), (format!("{before}\n"), None));
    assert_eq!(home.dir.join("root/etc/inittab").metadata().unwrap().permissions().mode() & 0o777, 0o640);
    // As another user; the owner of var, where none is named.
    let var = home.dir.make(format!("root{}/var", home.path()));
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&var, Some(1), None).unwrap();
    }
    let owner = TestCommand::new("stat").args(["-c", "%U"]).arg(&var).run().stdout();
    let told = home.rooted(&["install"]).run();
    told.success().stdout_contains(&format!("installed for init(8), to run as {};", owner.trim_end()));
    home.rooted(&["remove"]).run().success();
    home.rooted(&["install", "--user", "hl7"]).run().success();
    let line = format!(
        "sr:2345:off:/bin/su -s /bin/sh hl7 -c \"exec {}/bin/socketreader-service debug\"\n",
        home.path()
    );
    assert!(inittab().ends_with(&line), "{}", inittab());
}

#[test]
fn debug_runs_it_here_with_what_is_remembered() {
    let home = Home::new();
    let setup = Setup::new().server_in("in", HL7).file_out("out", "");
    let port = setup.port("in");
    let _ = setup.command();
    let config = setup.dir.join("sr.cfg").display().to_string();
    home.service(&["debug"])
        .run()
        .code(2)
        .stderr_contains("say once: socketreader-service debug --configfile");
    let broken = setup.dir.write("broken.cfg", "[general]\n").display().to_string();
    let told = home.service(&["debug", "--configfile", &broken]).run();
    told.code(2).stderr_contains("cannot start; mend it first").stderr_contains("useconnections is missing");
    for arguments in [&["debug", "--configfile", &config][..], &["debug"]] {
        let mut daemon = Daemon::start(&home.service(arguments).in_dir(setup.dir.path()));
        let mut link = super::support::Link::connect(([127, 0, 0, 1], port).into());
        link.exchange(&adt("A"), "AA A");
        assert_eq!(daemon.terminate().code(), Some(0), "{daemon}");
    }
    home.service(&["--version"]).run().success().stdout_contains("socketreader ");
    home.service(&["start", "stop"]).run().code(2).stderr_contains("one at a time");
    home.service(&["begin"]).run().code(2).stderr_contains("begin is neither an action nor an option");
}

/// What systemd says about unit files.
#[track_caller]
fn verify(units: &[String]) {
    let output = TestCommand::new("systemd-analyze").args(["verify", "--man=no"]).args(units).run();
    let told = output.stderr();
    // Units of the host may have faults of their own.
    let ours: Vec<&str> = told
        .lines()
        .filter(|line| ["socketreader", "llpdrv", "cvgateway"].iter().any(|name| line.contains(name)))
        .collect();
    assert!(ours.is_empty(), "{ours:#?}");
    assert!(output.status.success(), "{told}");
}

#[test]
fn a_service_of_systemd() {
    let home = Home::new();
    home.dir.make("root/run/systemd/system");
    home.rooted(&["install", "--user", "daemon"]).run().success().stdout_contains("to run as daemon");
    let unit = home.dir.join("root/etc/systemd/system/socketreader.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    let start = format!("ExecStart={}/bin/socketreader --configfile ${{CONFIGFILE}}\n", home.path());
    for line in [
        &start,
        "User=daemon\n",
        "Type=notify\n",
        "StateDirectory=socketreader\n",
        "ProtectSystem=strict\n",
        "NoNewPrivileges=yes\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("/usr/hl7"), "{text}");
    verify(&[unit.display().to_string()]);
    home.rooted(&["start"]).run().code(2).stderr_contains("say once");
    home.dir.write("root/sr.cfg", "");
    let told = home.rooted(&["start", "--configfile", "/sr.cfg"]).run();
    told.success().stdout_contains("not done, because of --root: systemctl restart socketreader.service");
    assert_eq!(home.remembered().unwrap(), "CONFIGFILE=\"/sr.cfg\"\n");
    home.rooted(&["stop"]).run().success().stdout_contains("systemctl stop");
    home.rooted(&["remove"]).run().success().stdout_contains("systemctl disable --now");
    assert!(!unit.exists() && home.remembered().is_none());
    home.rooted(&["stop"]).run().code(1);
    home.rooted(&["install", "--init", "upstart"])
        .run()
        .code(2)
        .stderr_contains("must be systemd or inittab");
}

#[test]
fn every_unit_is_sound() {
    let home = Home::new();
    let units = ["socketreader.service", "llpdrv@.service", "cvgateway.service"].map(|name| {
        let text = home.dir.text(format!("home/share/systemd/{name}")).replace("/usr/hl7", &home.path());
        // A template is looked at as one of its instances.
        home.dir.write(name.replace("@.", "@line."), text).display().to_string()
    });
    verify(&units);
}
