//! Who runs the programs: what scripts/install and the Debian package's script make of it.

use std::os::unix::fs::MetadataExt;

use protogen_testkit::{Dir, TestCommand, not_tested};

use super::{installed, mode};
use crate::support::top;

/// Only root gives files away.
fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        not_tested("only root can give files away");
    }
    is_root
}

/// The owner of a file, by number.
fn owner(root: &Dir, file: &str) -> u32 {
    root.join(file).metadata().unwrap_or_else(|error| panic!("{file}: {error}")).uid()
}

fn daemon() -> u32 {
    nix::unistd::User::from_name("daemon").unwrap().unwrap().uid.as_raw()
}

#[test]
fn units_and_lines_name_the_account() {
    let root = Dir::new();
    for unit in ["cvgateway", "llpdrv@", "socketreader"] {
        let text = std::fs::read_to_string(top().join(format!("etc/systemd/{unit}.service"))).unwrap();
        assert!(text.contains("\nUser=hl7\n"), "{unit}: {text}");
    }
    if !is_root() {
        return;
    }
    installed(&root, &["--prefix", "/opt/hl7", "--owner", "daemon"]).success();
    for unit in ["cvgateway", "llpdrv@", "socketreader"] {
        let text = root.text(format!("root/opt/hl7/share/systemd/{unit}.service"));
        assert!(text.contains("\nUser=daemon\n"), "{unit}: {text}");
        assert_eq!(text.contains("\nSupplementaryGroups=dialout\n"), unit == "llpdrv@", "{unit}");
    }
    let text = root.text("root/opt/hl7/share/examples/inittab.example");
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(":respawn:")).collect();
    assert_eq!(lines.len(), 4, "{text}");
    for line in lines {
        let runs = ":respawn:/sbin/runuser -u daemon -- env PG_HOME=/opt/hl7 /opt/hl7/bin/";
        assert!(line.contains(runs), "{line}");
    }
    assert!(text.contains("usermod -aG dialout daemon\n"), "{text}");
    let crontab = root.text("root/opt/hl7/share/examples/crontab.example");
    assert!(crontab.contains("crontab -u daemon -e"), "{crontab}");
}

/// What init(8) makes of the shipped lines: no field is too long for it, and the way to the account is a command.
#[test]
fn lines_of_inittab_fit_init() {
    let text = std::fs::read_to_string(top().join("etc/inittab.example")).unwrap();
    let fields: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once(":respawn:")?.1)).collect();
    assert_eq!(fields.len(), 4, "{text}");
    for field in fields {
        assert!(field.len() <= 127, "{}: {field}", field.len());
        assert!(field.starts_with("/sbin/runuser -u hl7 -- /usr/hl7/bin/"), "{field}");
    }
}

#[test]
fn the_account_owns_what_is_written() {
    if !is_root() {
        return;
    }
    let root = Dir::new();
    installed(&root, &["--owner", "nobody-of-this-name"])
        .code(1)
        .stderr_contains("no such account; useradd ");
    installed(&root, &["--owner", "a b"]).code(1).stderr_contains("must be USER or USER:GROUP");
    assert!(!root.join("root").exists());
    // One that ran as root until now: its files change hands, too; what a link names outside does not.
    installed(&root, &["--owner", "root"]).success();
    root.write("root/usr/hl7/var/spool/ANAE_IOP/1", "MSH|");
    root.write("elsewhere", "");
    std::os::unix::fs::symlink(root.join("elsewhere"), root.join("root/usr/hl7/var/link")).unwrap();
    assert_eq!(owner(&root, "root/usr/hl7/var/spool"), 0);
    // Who is not named changes nothing that is there, but it is told.
    let told = installed(&root, &[]);
    told.success()
        .stdout_contains("give it what they write: chown -R hl7: /usr/hl7/var /usr/hl7/lib/codes\n");
    assert_eq!(owner(&root, "root/usr/hl7/var"), 0);
    assert!(!installed(&root, &["--owner", "daemon"]).success().stdout().contains("chown"));
    for file in ["var", "var/log/ABL/060_IOP", "var/socketreader", "var/spool/ANAE_IOP/1", "lib/codes"] {
        assert_eq!(owner(&root, &format!("root/usr/hl7/{file}")), daemon(), "{file}");
    }
    for file in ["bin", "etc", "lib", "bin/hl7", "etc/queues"] {
        assert_eq!(owner(&root, &format!("root/usr/hl7/{file}")), 0, "{file}");
    }
    assert_eq!(owner(&root, "elsewhere"), 0);
}

/// A package with the script of ours and the list of directories, put by dpkg into a root of its own.
struct Package {
    dir: Dir,
}

impl Package {
    fn new() -> Package {
        let dir = Dir::new();
        for directory in ["package/DEBIAN", "package/usr/hl7/lib", "root/etc", "root/var/lib/dpkg/updates"] {
            dir.make(directory);
        }
        dir.make("root/var/lib/dpkg/info");
        dir.write("root/var/lib/dpkg/status", "");
        for file in ["passwd", "group", "shadow", "gshadow"] {
            dir.write(format!("root/etc/{file}"), "");
        }
        let control = "Package: protogen-hl7\nVersion: 1\nArchitecture: all\nMaintainer: a <a@localhost>\nDescription: a\n";
        dir.write("package/DEBIAN/control", control);
        let script = top().join("scripts/debian/postinst");
        dir.script("package/DEBIAN/postinst", "");
        std::fs::write(dir.join("package/DEBIAN/postinst"), std::fs::read(script).unwrap()).unwrap();
        let list = std::fs::read(top().join("scripts/lib/directories")).unwrap();
        dir.write("package/usr/hl7/lib/directories", list);
        let build =
            TestCommand::new("dpkg-deb").args(["--build", "--root-owner-group", "package", "package.deb"]);
        build.in_dir(dir.path()).run().success();
        Package { dir }
    }

    fn dpkg(&self, action: &str, what: &str) {
        let root = format!("--root={}", self.dir.join("root").display());
        let dpkg = TestCommand::new("dpkg").args([&root, "--force-script-chrootless", action, what]);
        dpkg.in_dir(self.dir.path()).run().success();
    }
}

#[test]
fn the_package_makes_account_and_directories() {
    if !is_root() {
        return;
    }
    let package = Package::new();
    package.dpkg("--install", "package.deb");
    let dir = &package.dir;
    let passwd = dir.text("root/etc/passwd");
    let fields: Vec<&str> = passwd.trim_end().split(':').collect();
    assert_eq!((fields[0], fields[5], fields[6]), ("hl7", "/usr/hl7/var", "/usr/sbin/nologin"), "{passwd}");
    assert!(dir.text("root/etc/group").starts_with("hl7:"));
    let account: u32 = fields[2].parse().unwrap();
    assert!(account > 0 && account < 1000, "a system account: {passwd}");
    // Each of the list, with its mode and owner.
    let list = std::fs::read_to_string(top().join("scripts/lib/directories")).unwrap();
    let rows: Vec<(&str, &str)> = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    assert!(rows.len() > 10, "{list}");
    for (bits, directory) in &rows {
        let place = format!("root/usr/hl7/{directory}");
        let is_written = directory.starts_with("var") || *directory == "lib/codes";
        assert_eq!(owner(dir, &place), if is_written { account } else { 0 }, "{directory}");
        assert_eq!(format!("{:o}", mode(dir, &place)), *bits, "{directory}");
    }
    // A newer version leaves what the site made of it; it has no second account.
    std::os::unix::fs::chown(dir.join("root/usr/hl7/var/log"), Some(0), Some(0)).unwrap();
    std::fs::set_permissions(
        dir.join("root/usr/hl7/var/spool"),
        std::os::unix::fs::PermissionsExt::from_mode(0o750),
    )
    .unwrap();
    dir.write("root/usr/hl7/var/spool/ANAE_IOP/1", "MSH|");
    std::fs::remove_dir(dir.join("root/usr/hl7/var/socketreader")).unwrap();
    package.dpkg("--install", "package.deb");
    assert_eq!(dir.text("root/etc/passwd"), passwd);
    assert_eq!((owner(dir, "root/usr/hl7/var/log"), mode(dir, "root/usr/hl7/var/spool")), (0, 0o750));
    assert_eq!(owner(dir, "root/usr/hl7/var/socketreader"), account);
    // Messages outlive the package.
    package.dpkg("--purge", "protogen-hl7");
    assert_eq!(dir.text("root/usr/hl7/var/spool/ANAE_IOP/1"), "MSH|");
}
