//! `PG_RSH` is ssh(1), to a real sshd(8) on loopback.

use super::Site;
use crate::support::free_port;
use protogen_testkit::{Daemon, TestCommand};
use std::net::TcpListener;
use std::path::Path;

const SSHD: &str = "/usr/sbin/sshd";

/// A site whose CareVue host is reached by ssh, with the server.
struct Host {
    site: Site,
    port: u16,
    sshd: Daemon,
}

impl Host {
    fn new() -> Host {
        assert!(Path::new(SSHD).exists(), "{SSHD} is missing: scripts/test installs openssh-server");
        let site = Site::new();
        for key in ["host", "own", "other"] {
            let file = site.dir.join(key);
            let keygen =
                TestCommand::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file);
            keygen.run().success();
        }
        site.dir.write("authorized", site.dir.read("own.pub"));
        // What root's server wants to be there; scripts/test runs as root in a container.
        if own_name() == "root" {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let port = free_port();
        let place = |name: &str| site.dir.join(name).display().to_string();
        // The account's path: CareVue's commands first.
        let path = format!("{}/bin:/usr/bin:/bin", site.state.display());
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             SetEnv PATH={path} CAREVUE_SIM_STATE={}\n",
            place("host"),
            place("authorized"),
            site.state.display(),
        );
        let config = site.dir.write("sshd_config", config);
        let sshd = Daemon::launch(&TestCommand::new(SSHD).args(["-D", "-e", "-f"]).arg(config));
        sshd.wait_for_stderr(&format!("Server listening on 127.0.0.1 port {port}"));
        site.dir.write("known", format!("[127.0.0.1]:{port} {}", site.dir.text("host.pub")));
        site.dir.write("home/etc/carevue", format!("{}@127.0.0.1\n", own_name()));
        Host { site, port, sshd }
    }

    /// ssh with this key, this port, and the host keys of this file.
    fn ssh(&self, key: &str, port: u16, known: &str) -> String {
        let place = |name: &str| self.site.dir.join(name).display().to_string();
        let (key, known) = (place(key), place(known));
        format!(
            "ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -i {key} -o UserKnownHostsFile={known} -p {port}"
        )
    }

    fn ask(&self, arguments: &str) -> TestCommand {
        self.site.ask(arguments).env("PG_RSH", self.ssh("own", self.port, "known"))
    }
}

fn own_name() -> String {
    TestCommand::new("id").arg("-un").run().success().stdout().trim().to_owned()
}

#[test]
fn the_answers_are_those_of_the_host() {
    let host = Host::new();
    host.ask("-e 1 -r 12345 -l 601-1").run().code(0).stderr_is("");
    host.site.admit("12345", "601-1");
    host.site.admit("54321", "604-7");
    for (arguments, status) in [
        ("-e 1 -r 12345 -l 601-1", 7),
        ("-e 2 -r 12345 -l 601-1 -n 604-7", 7 + 8 * 3),
        ("-e 3 -r 1 -l 601-1", 1),
        ("-e 17 -r 12345 -l 601-1 -s 54321 -m 604-7", 7 + 8 * 7),
        ("-e 1 -r 12345 -l 999-9", 128),
    ] {
        host.ask(arguments).run().code(status);
    }
    host.ask("-e 8 -c -r 12345 -l 601-1 -H 182 -W 75 -S 2.7").run().code(7).stderr_is("");
    assert_eq!(host.site.observations(), "12345\t182\t75\t2.7\n");
}

/// The record number goes through the account's login shell three times: new_wt_ht_bsa, sysMsg, idb.
#[test]
fn hostile_values_arrive_as_they_are() {
    let host = Host::new();
    host.site.admit("777", "601-1");
    for recno in ["$(touch run)", "`touch run`", "'; touch run; '", "a b  *|&<>", "!!#~%", "-c"] {
        host.site.sim("admit").arg("--").arg(recno).run().success();
        host.ask("-e 1 -c -l 601-1 -H 182").arg("-r").arg(recno).run().code(3).stderr_is("");
        assert!(host.site.observations().ends_with(&format!("{recno}\t182\t\t\n")));
        let message = format!("HL7: patient {recno} is on the waiting list: bed 601-1 is occupied\n");
        assert!(host.site.messages().ends_with(&message));
    }
    let home = std::env::var_os("HOME").unwrap_or_default();
    assert!(!Path::new(&home).join("run").exists());
}

#[test]
fn each_way_not_to_get_in_is_192_with_its_reason() {
    let mut host = Host::new();
    host.site.admit("12345", "601-1");
    let ask = |host: &Host, rsh: String| host.site.ask("-e 1 -r 12345 -l 601-1").env("PG_RSH", rsh);
    let port = host.port;
    let wrong_key = ask(&host, host.ssh("other", port, "known")).run();
    wrong_key
        .code(192)
        .stderr_contains(": idb: exit status: 255: ")
        .stderr_contains("Permission denied (publickey)");
    host.site.dir.write("impostor", format!("[127.0.0.1]:{port} {}", host.site.dir.text("other.pub")));
    let impostor = ask(&host, host.ssh("own", port, "impostor")).run();
    impostor.code(192).stderr_contains("Host key verification failed");
    // A command that is not on the account's path.
    std::fs::remove_file(host.site.state.join("bin/idb")).unwrap();
    ask(&host, host.ssh("own", port, "known")).run().code(192).stderr_contains("exit status: 127");
    host.sshd.kill_9();
    let refused = ask(&host, host.ssh("own", port, "known")).run();
    refused.code(192).stderr_contains("Connection refused");
    // A host that takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let rsh = host.ssh("own", silent.local_addr().unwrap().port(), "known");
    let hung = ask(&host, rsh).env("PG_IDB_TIMEOUT", "0.5").run();
    hung.code(192).stderr_contains("idb: no end in time (PG_IDB_TIMEOUT is 0.5 s)");
    assert!(host.site.mail.next_mail().data.contains("Permission denied"));
}
