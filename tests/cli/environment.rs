//! Arguments and environment of the guest.

use super::harness::guest;

#[test]
fn nothing_is_inherited_unless_asked_for() {
    assert_eq!(kitbag!["run", guest("args.wat")].env("SECRET", "x").prints(), "args.wat\n\n");
}

#[test]
fn variables() {
    let run = kitbag![
        "--env",
        "A=1",
        "--env",
        "B=",
        "--env",
        "A=x=y",
        "--env",
        "HERE",
        "--env",
        "NOT_HERE",
        guest("args.wat")
    ];
    assert_eq!(run.env("HERE", "h").prints(), "args.wat\n\nA=x=y\nB=\nHERE=h\n");
}

#[test]
fn the_whole_environment() {
    let out = kitbag!["--env", "KIT_A=changed", "--env-inherit", guest("args.wat")]
        .env("KIT_A", "a")
        .env("KIT_B", "b")
        .prints();
    assert!(out.contains("\nKIT_A=changed\n") && out.contains("\nKIT_B=b\n") && !out.contains("KIT_A=a"), "{out}");
}

#[test]
fn the_name_of_the_guest() {
    assert_eq!(kitbag!["--argv0", "as told", guest("args.wat"), "x"].prints(), "as told\nx\n\n");
    assert_eq!(kitbag!["--argv0", "", guest("args.wat")].prints(), "\n\n");
}
