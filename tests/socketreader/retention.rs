//! What is kept after delivery, and what is given back.

use super::reload::reload;
use super::support::{Router, Setup, adt};

const HL7: &str = "usehl7 = True";

/// What the journal still has for the connection out.
fn kept(router: &Router) -> String {
    let exported = router.ask(&["--export", "out", "1-"]);
    // It may meet a segment that is just being removed: that is not nothing.
    exported.stdout() + &exported.stderr()
}

fn text(ids: &[&str]) -> String {
    String::from_utf8(ids.iter().flat_map(|id| adt(id)).collect()).unwrap()
}

/// How many bytes the files of the journal take on the disk, without the spare, which comes and goes.
fn room(router: &Router) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let names = router.dir.list("state/journal");
    let segments = names.iter().filter(|name| name.ends_with(".seg"));
    // One may go meanwhile.
    let about = segments.filter_map(|name| router.dir.join("state/journal").join(name).metadata().ok());
    about.map(|file| file.blocks() * 512).sum()
}

#[test]
fn with_keep_0_nothing_stays_on_the_disk_but_what_waits() {
    for keeps in ["the program runs", "it starts"] {
        let mut router = Setup::new().general("keep = 0").server_in("in", HL7).file_out("out", "").start();
        router.ask(&["--pause", "out"]).success();
        router.connect("in").exchange(&adt("A"), "AA A");
        reload(&router, |text| text);
        assert_eq!(kept(&router), text(&["A"]));
        router.ask(&["--resume", "out"]).success();
        router.files("out", 1);
        router.wait("delivered", || router.out()["pending"] == 0);
        if keeps == "it starts" {
            router.end();
            router.restart();
        } else {
            reload(&router, |text| text);
        }
        router.wait("nothing kept", || kept(&router).is_empty());
        for name in router.dir.list("state/journal") {
            // The spare may just get its name.
            let bytes = std::fs::read(router.dir.join("state/journal").join(&name)).unwrap_or_default();
            assert!(!bytes.windows(8).any(|eight| eight == b"Doe^Jane"), "{keeps}: {name}");
        }
        router.connect("in").exchange(&adt("B"), "AA B");
        router.files("out", 2);
        router.end();
    }
}

#[test]
fn beyond_keepsize_the_oldest_goes_and_its_room_is_given_back() {
    let mut router = Setup::new().general("keepsize = 100M").server_in("in", HL7).file_out("out", "").start();
    router.ask(&["--pause", "out"]).success();
    let more = router.dir.make("more");
    let section = format!("transtech = file\ntransdir = in\nqueuename = q\nmessagedir = {}", more.display());
    router.connect("in").exchange(&adt("A"), "AA A");
    // With each change of the routing a further segment begins.
    reload(&router, |text| {
        format!(
            "{}\n[more]\n{section}\n",
            text.replacen("useconnections = in", "useconnections = more, in", 1)
        )
    });
    router.connect("in").exchange(&adt("B"), "AA B");
    reload(&router, |text| text.replacen("useconnections = more, in", "useconnections = in", 1));
    router.connect("in").exchange(&adt("C"), "AA C");
    reload(&router, |text| text);
    assert_eq!(kept(&router), text(&["A", "B", "C"]), "what waits is kept, whatever room it takes");
    let before = room(&router);
    assert!(before > 100 << 20, "{before}");
    router.ask(&["--resume", "out"]).success();
    router.files("out", 3);
    router.wait("delivered", || router.out()["pending"] == 0);
    reload(&router, |text| text);
    router.wait("the oldest gone", || kept(&router) == text(&["C"]));
    router.wait("room", || room(&router) <= 100 << 20);
    router.end();
}
