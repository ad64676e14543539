//! Link settings for a Node addon, only when the addon is what is being built.

fn main() {
    #[cfg(feature = "node")]
    set_up_addon();
}

/// On Linux an addon needs no link settings, and what is left of napi's set-up asks for a rebuild whenever a variable
/// changes that its CLI sets for the first build alone: the second build, with nothing changed, would build again.
#[cfg(feature = "node")]
#[allow(clippy::print_stdout, reason = "a build script speaks to cargo in this way")]
fn set_up_addon() {
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rerun-if-changed=build.rs");
        println!("cargo::rerun-if-env-changed=NAPI_TYPE_DEF_TMP_FOLDER");
    } else {
        napi_build::setup();
    }
}
