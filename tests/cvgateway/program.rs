//! The command line: `--help`, `--check`, `--dry-run`, and what stops the start.

use super::support::Site;

#[test]
fn help_fits_a_screen_and_usage_errors_are_status_2() {
    let site = Site::new();
    for help in ["-h", "--help"] {
        let text = site.program().arg(help).run().success().stdout();
        assert!(text.lines().count() <= 24, "{text}");
        assert!(text.contains("cvgateway [OPTION...] SERVICE FSI_SERVICE FSI_HOST FACILITY"), "{text}");
    }
    for (arguments, said) in [
        (&[][..], "required"),
        (&["0", "1", "localhost"], "required"),
        (&["0", "1", "localhost", "../x"], "FACILITY \"../x\": expected letters"),
        (&["0", "1", "localhost", ".x"], "expected letters"),
        (&["no/service", "1", "localhost", "X"], "no/service"),
        (&["--colour"], "--colour"),
    ] {
        site.program().args(arguments).run().code(2).stderr_contains(said);
    }
}

#[test]
fn a_profile_that_is_missing_or_broken_stops_the_start() {
    let site = Site::new();
    site.dir.write("etc/cvgateway.toml", "\nbeds = []\n");
    let output = site.program().args(site.arguments()).run();
    output.code(2).stderr_contains("cvgateway.toml:2: beds: expected at least one pattern");
    std::fs::remove_file(site.dir.join("etc/cvgateway.toml")).unwrap();
    site.program()
        .args(site.arguments())
        .run()
        .code(2)
        .stderr_contains("start from the cvgateway.toml that is shipped");
}

#[test]
fn check_names_every_fault() {
    let site = Site::new().with_tables();
    site.program().arg("--check").run().success();
    site.dir.write("etc/cvgateway.toml", "colour = 1\n");
    site.dir.write("etc/hl7hosts", "one\n");
    let output = site.program().arg("--check").run();
    output.code(2).stderr_contains("cvgateway.toml:1: colour").stderr_contains("hl7hosts:1");
    site.dir.write("etc/cvgateway.toml", "idb-direct = \"/no/such\"\n");
    site.program().arg("--check").run().code(2).stderr_contains("/no/such: No such file");
    let shipped = std::fs::read(crate::support::top().join("etc/cvgateway.toml")).unwrap();
    site.dir.write("etc/cvgateway.toml", shipped);
    site.dir.write("etc/hl7hosts", "localhost * * * * *\n");
    site.program().arg("--check").run().success();
}

/// Beds that the name cannot tell apart are a warning, and at the start too.
#[test]
fn check_warns_of_a_bed_name_without_the_ward() {
    let site = Site::new().with_tables();
    site.dir.write("etc/cvgateway.toml", "wards = [\"ICU\", \"IMC\"]\n");
    let output = site.program().arg("--check").run();
    output
        .success()
        .stderr_contains("warning: ")
        .stderr_contains("cvgateway.toml: bed-name: wards names several");
    let site = site.start();
    assert!(site.daemon_log().contains("cvgateway.toml: bed-name: wards names several"));
    site.dir.write("etc/cvgateway.toml", "wards = [\"IOP\"]\n");
    let quiet = site.program().arg("--check").run().success().stderr();
    assert!(!quiet.contains("bed-name"), "{quiet}");
}

#[test]
fn a_dry_run_prints_the_cases_and_sends_nothing() {
    let site = Site::new();
    site.census(&[0, 0]);
    let message = "MSH|^~\\&|ADM|HOSP|||||ADT^A08|7|P|2.3\rEVN|A08|\rPID|1||1||Muster\rPV1|1|I|IOP^601^1||||||||||||||||77\r";
    let file = site.dir.write("messages.hl7", message);
    let output = site.program().arg("--dry-run").arg(file).args(site.arguments()).run();
    output
        .success()
        .stdout_contains(
            "message 1: 7\nA08: census 0: the patient is unknown\nA01: census 0: admitted to 601-1\nMSH|",
        )
        .stdout_contains("|ADT^A01|7|P|2.1\nEVN|A01\nPID|1||77||Muster\n")
        .stdout_contains("answer: AA the patient is unknown; admitted to 601-1\n");
    assert!(site.fsi.take().is_empty());
    assert!(!site.dir.join("var").exists(), "a dry run makes no journal");
    assert!(site.asked().iter().all(|call| !call.contains("-c")));
    site.census(&[128]);
    let file = site.dir.join("messages.hl7");
    site.program()
        .arg("--dry-run")
        .arg(file)
        .args(site.arguments())
        .run()
        .code(1)
        .stdout_contains("answer: AE");
    let empty = site.dir.write("empty", "");
    site.program()
        .arg("--dry-run")
        .arg(empty)
        .args(site.arguments())
        .run()
        .code(2)
        .stderr_contains("no message");
}
