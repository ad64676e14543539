//! Link settings for a Node addon, only when the addon is what is being built.

fn main() {
    #[cfg(feature = "node")]
    napi_build::setup();
}
