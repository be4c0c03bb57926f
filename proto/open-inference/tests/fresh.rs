//! The committed bindings are what the `.proto` file says. `REGENERATE=1` rewrites them.

use std::path::{Path, PathBuf};

use prost::Message as _;

#[test]
fn the_committed_bindings_match_the_protocol() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile(["inference.proto"], [root.join("proto")]).unwrap();
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("open-inference");
    std::fs::create_dir_all(&out).unwrap();
    let bytes = descriptors.encode_to_vec();
    tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        .build_transport(false)
        .out_dir(&out)
        .compile_fds(descriptors)
        .unwrap();
    std::fs::write(out.join("descriptors.bin"), bytes).unwrap();
    for name in ["inference.rs", "descriptors.bin"] {
        let fresh = std::fs::read(out.join(name)).unwrap();
        let committed = root.join("src/gen").join(name);
        if std::env::var_os("REGENERATE").is_some() {
            std::fs::write(&committed, &fresh).unwrap();
        }
        assert!(
            std::fs::read(&committed).unwrap_or_default() == fresh,
            "{} is stale: run `REGENERATE=1 cargo test -p open-inference`",
            committed.display()
        );
    }
}
