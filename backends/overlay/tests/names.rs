//! Every name is the guest's, and none reaches the overlay's state.

use super::*;

fn own() -> &'static str {
    std::str::from_utf8(PRIVATE).unwrap()
}

#[test]
fn the_reserved_name_is_as_any_other() {
    let own = own();
    let lower = memory(&[(own, "lower's"), ("dir/file", "x")]);
    let scene = over(&[lower]);
    assert_eq!(scene.get(own), Ok("lower's".into()));
    scene.put(own, "guest's").unwrap();
    assert_eq!(scene.get(own), Ok("guest's".into()));
    assert_eq!(scene.names("."), [own, "dir"]);
    scene.rename(own, &format!("dir/{own}")).unwrap();
    assert_eq!(scene.names("."), ["dir"]);
    assert_eq!(scene.names("dir"), [own, "file"]);
    scene.unlink("dir/file").unwrap();
    let scene = scene.restart();
    assert_eq!(scene.names("."), ["dir"]);
    assert_eq!(scene.names("dir"), [own]);
    assert_eq!(scene.get(&format!("dir/{own}")), Ok("guest's".into()));
    scene.rename("dir", own).unwrap();
    assert_eq!(scene.names(own), [own]);
    scene.unlink(&format!("{own}/{own}")).unwrap();
    scene.rmdir(own).unwrap();
    assert_eq!(scene.restart().names("."), [""; 0]);
}

#[test]
fn state_is_out_of_reach() {
    let own = own();
    let scene = over(&[memory(&[("a", ""), ("b", "")])]);
    scene.unlink("a").unwrap();
    scene.open("b", OpenOptions::write()).unwrap();
    for beneath in ["", "/hidden", "/hidden/a", "/work", "/self", "/lower"] {
        assert_eq!(scene.stat(&format!("{own}{beneath}")).err(), Some(Error::NotFound), "{beneath}");
    }
    scene.mkdir(own).unwrap();
    scene.mkdir(&format!("{own}/hidden")).unwrap();
    scene.put(&format!("{own}/hidden/b"), "no whiteout").unwrap();
    scene.put(&format!("{own}/lower"), "no redirect").unwrap();
    let scene = scene.restart();
    assert_eq!(scene.names("."), [own, "b"]);
    assert_eq!(scene.names(own), ["hidden", "lower"]);
}

#[test]
fn names_like_those_of_other_overlays_whiteouts_and_of_full_length() {
    let longest = "n".repeat(255);
    let names = [".wh.a", ".wh..wh..opq", "trusted.overlay.opaque", &longest];
    let lower = memory(&names.map(|name| (name, "lower")));
    let mut scene = over(&[lower]);
    for name in names {
        scene.unlink(name).unwrap();
    }
    assert_eq!(scene.names("."), [""; 0]);
    scene = scene.restart();
    assert_eq!(scene.names("."), [""; 0]);
    for name in names {
        scene.put(name, "again").unwrap();
    }
    assert_eq!(scene.restart().names("."), [".wh..wh..opq", ".wh.a", &longest, "trusted.overlay.opaque"]);
}

#[test]
fn a_folder_in_use_shows_what_it_held() {
    let scene = with_upper(memory(&[("mine", "mine"), ("dir/mine", "")]), &[memory(&[("dir/theirs", "")])]);
    assert_eq!(scene.names("dir"), ["mine", "theirs"]);
    scene.rmdir("dir").unwrap_err();
    scene.unlink("mine").unwrap();
    assert_eq!(scene.names("."), ["dir"]);
}
