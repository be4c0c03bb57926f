//! What is accepted, and what a mistake is answered with.

use super::*;

const GOOD: &str = r#"
host = "infer-0042"
environment = "prod"
hub = ["unix:/run/binnacle/hub.sock", "127.0.0.1:7000"]
upstream = "http://127.0.0.1:8080"
listen = "127.0.0.1:0"
data = "/var/lib/binnacle-agent"
workers = 2
upstream_timeout = "1500ms"
[labels]
rack = "b7"
"#;

fn config(text: &str, flags: Given) -> Result<Config, ConfigError> {
    let given = Given::from_toml(Path::new("agent.toml"), text)?;
    Config::from_given(given.overridden_by(flags), None)
}

fn error(text: &str) -> String {
    config(text, Given::default()).unwrap_err().to_string()
}

#[test]
fn a_file_is_read_into_types() {
    let config = config(GOOD, Given::default()).unwrap();
    assert_eq!(config.host.as_str(), "infer-0042");
    assert_eq!(config.hubs.len(), 2);
    assert_eq!(config.upstream_timeout, Duration::from_millis(1500));
    assert_eq!(config.workers.get(), 2);
    assert_eq!(
        config.control,
        Path::new("/var/lib/binnacle-agent/agent.sock")
    );
    assert_eq!(config.labels.len(), 1);
    assert_eq!(config.grpc_upstream, config.upstream);
}

#[test]
fn flags_win_over_the_file() {
    let flags = Given {
        host: Some(Text::flag("host", "other")),
        hubs: vec![Text::flag("hub", "localhost:7001")],
        labels: vec![
            ("rack".into(), Text::flag("label", "b8")),
            ("row".into(), Text::flag("label", "3")),
        ],
        ..Given::default()
    };
    let config = config(GOOD, flags).unwrap();
    assert_eq!(config.host.as_str(), "other");
    assert_eq!(
        config.hubs,
        [HubAddr::Tcp("127.0.0.1:7001".parse().unwrap())]
    );
    let labels: Vec<_> = config.labels.values().map(String::as_str).collect();
    assert_eq!(labels, ["b8", "3"]);
}

#[test]
fn a_mistake_names_its_line_and_what_was_meant() {
    let with = |from: &str, to: &str| GOOD.replace(from, to);
    for (text, expected) in [
        (
            with("host =", "hots ="),
            "agent.toml, line 2: there is no key `hots`: did you mean `host`?",
        ),
        (
            with("upstream_timeout", "upstream_timout"),
            "agent.toml, line 9: there is no key `upstream_timout`: did you mean \
             `upstream_timeout`?",
        ),
        (
            with("workers", "xyzzyxyzzy"),
            "agent.toml, line 8: there is no key `xyzzyxyzzy`: the keys are host,",
        ),
        (
            with("infer-0042", "Infer_42"),
            "agent.toml, line 2: \"Infer_42\" is not a name: use 1 to 63 of a-z, 0-9 and inner \
             hyphens",
        ),
        (
            with("infer-0042", "a\\u001b[31m"),
            "agent.toml, line 2: \"a\\u{1b}[31m\" is not a name",
        ),
        (
            with("127.0.0.1:7000", "192.0.2.1:7000"),
            "agent.toml, line 4: 192.0.2.1:7000 is not a loopback address: until hubs and agents \
             prove who they are",
        ),
        (
            with("127.0.0.1:7000", "hub"),
            "agent.toml, line 4: \"hub\" is no hub's address: it is unix:PATH or ADDR:PORT",
        ),
        (
            with("http://127.0.0.1:8080", "https://127.0.0.1:8080"),
            "agent.toml, line 5: upstream \"https://127.0.0.1:8080\" is not http://host:port",
        ),
        (
            with("127.0.0.1:0", "8000"),
            "agent.toml, line 6: \"8000\" is no ADDR:PORT, such as 127.0.0.1:8000",
        ),
        (
            with("workers = 2", "workers = 0"),
            "agent.toml, line 8: \"0\" is no number of workers",
        ),
        (
            with("workers = 2", "workers = \"two\""),
            "agent.toml, line 8: invalid type: string",
        ),
        (
            with("1500ms", "1500"),
            "agent.toml, line 9: \"1500\" is no time: write it as 500ms",
        ),
        (
            with("rack = \"b7\"", "rack = 7"),
            "agent.toml, line 11: invalid type: integer `7`",
        ),
        (with("[labels]", "[labels"), "agent.toml, line 10: "),
        (
            with("upstream =", "# upstream ="),
            "no upstream is given: pass --upstream, or set `upstream` in the configuration",
        ),
        (
            with("/var/lib/binnacle-agent", &"/long".repeat(30)),
            "--control: /long",
        ),
    ] {
        let words = error(&text);
        assert!(words.starts_with(expected), "{words}\nexpected {expected}");
    }
}

#[test]
fn a_mistake_in_a_flag_names_the_flag() {
    let flags = Given {
        host: Some(Text::flag("host", "")),
        ..Given::default()
    };
    let words = config(GOOD, flags).unwrap_err().to_string();
    assert!(words.starts_with("--host: \"\" is not a name"), "{words}");
}

#[test]
fn the_example_beside_the_units_is_a_configuration() {
    let text = include_str!("../../systemd/agent.toml");
    let data = Some(Text::flag("data", "/var/lib/binnacle-agent"));
    let flags = Given {
        data,
        ..Given::default()
    };
    config(text, flags).unwrap();
    let commented = text.replace("\n# ", "\n");
    let keys = Given::from_toml(Path::new("agent.toml"), &keys_only(&commented));
    assert!(keys.is_ok(), "what is commented out is right too: {keys:?}");
}

/// The lines that set something, or open a table.
fn keys_only(text: &str) -> String {
    let sets = |line: &&str| line.contains(" = ") || line.starts_with('[');
    text.lines().filter(sets).collect::<Vec<_>>().join("\n")
}
