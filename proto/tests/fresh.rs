//! The committed bindings are what the `.proto` files say. `REGENERATE=1` rewrites them.

use std::path::{Path, PathBuf};

use prost::Message as _;

const FILES: [&str; 9] = [
    "binnacle/v1/common.proto",
    "binnacle/v1/agent.proto",
    "binnacle/v1/fleet.proto",
    "binnacle/v1/telemetry.proto",
    "binnacle/v1/registry.proto",
    "binnacle/v1/artifact.proto",
    "binnacle/v1/endpoint.proto",
    "binnacle/v1/alert.proto",
    "binnacle/v1/drift.proto",
];

#[test]
fn the_committed_bindings_match_the_contract() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile(FILES, [root]).unwrap();
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bindings");
    std::fs::create_dir_all(&out).unwrap();
    let bytes = descriptors.encode_to_vec();
    tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        // `Connect` is an rpc of ours: a constructor of that name would clash with it.
        .build_transport(false)
        .codec_path("crate::codec::Codec")
        .out_dir(&out)
        .compile_fds(descriptors)
        .unwrap();
    std::fs::write(out.join("descriptors.bin"), bytes).unwrap();
    for name in ["binnacle.v1.rs", "descriptors.bin"] {
        let fresh = std::fs::read(out.join(name)).unwrap();
        let committed = root.join("src/gen").join(name);
        if std::env::var_os("REGENERATE").is_some() {
            std::fs::write(&committed, &fresh).unwrap();
        }
        assert!(
            std::fs::read(&committed).unwrap_or_default() == fresh,
            "{} is stale: run `REGENERATE=1 cargo test -p binnacle-proto`",
            committed.display()
        );
    }
}
