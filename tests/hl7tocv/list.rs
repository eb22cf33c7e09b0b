//! `--list`.

use super::support::Site;
use crate::cvgateway::support::Manner;

#[test]
fn the_state_of_the_queues_for_people_and_scripts() {
    let site = Site::new();
    let list = || site.program().arg("--list").run();
    list()
        .success()
        .stdout_is("ANAE_IOP: 0 waiting, 0 locked, 0 refused\nABL/060_IOP: 0 waiting, 0 locked, 0 refused\n");
    for name in ["1", "2", "3"] {
        site.put(name);
    }
    site.dir.write(site.spooled("3.lock"), "");
    site.gateway.answers(Manner::Judge(|id| (id == "1").then_some(("AE", "no"))));
    site.batch().code(75);
    let text = list().code(1).stdout();
    assert!(text.starts_with("ANAE_IOP: 2 waiting, 1 locked, 1 refused, oldest 20"), "{text}");
    assert!(
        text.contains("\n  blocked since 20") && text.contains("without an answer (tried 4 times)\nABL/"),
        "{text}"
    );

    let json = site.program().args(["--list", "--json", "--queue", "ANAE_IOP"]).run();
    let json: serde_json::Value = serde_json::from_str(&json.code(1).stdout()).unwrap();
    let queue = &json[0];
    assert_eq!(
        (queue["queue"].as_str(), queue["waiting"].as_u64(), queue["locked"].as_u64()),
        (Some("ANAE_IOP"), Some(2), Some(1))
    );
    assert!(queue["blocked"]["why"].as_str().unwrap().contains("without an answer"), "{json}");
    assert!(
        queue["blocked"]["since"].as_str().unwrap().ends_with('Z') && queue["in_work"].is_null(),
        "{json}"
    );
    site.program()
        .args(["--list", "--queue", "NONE"])
        .run()
        .code(2)
        .stderr_contains("no queue is called NONE");
}
