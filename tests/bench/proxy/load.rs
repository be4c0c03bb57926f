//! The load: wrk for HTTP/1.1, h2load for gRPC, both on the core that the proxy is not on.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

use color_eyre::eyre::{WrapErr, bail, eyre};
use open_inference::proto::{ModelInferRequest, model_infer_request::InferInputTensor};
use tonic_prost::prost::Message as _;

use super::{Contestant, Protocol, folder, serve, stand::Stand};

/// One way to load a proxy.
pub(crate) struct Load<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) connections: usize,
    pub(crate) span: Duration,
    /// Where files of this run may lie.
    pub(crate) folder: &'a Path,
}

/// What one round has shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) p50_us: f64,
    pub(crate) per_second: f64,
    /// CPU of the proxy for one request; 0 for direct.
    pub(crate) cpu_us: f64,
}

struct Counted {
    requests: u64,
    seconds: f64,
    p50_us: f64,
}

impl Load<'_> {
    pub(crate) fn run(&self, stand: &Stand, at: Contestant) -> color_eyre::Result<Measured> {
        let before = stand.cpu_us(at)?;
        let counted = match self.protocol {
            Protocol::Http => self.wrk(stand.http(at), at)?,
            Protocol::Grpc => self.h2load(stand.grpc(at), at)?,
        };
        let cpu = stand.cpu_us(at)? - before;
        Ok(Measured {
            p50_us: counted.p50_us,
            per_second: counted.requests as f64 / counted.seconds,
            cpu_us: cpu as f64 / counted.requests.max(1) as f64,
        })
    }

    fn wrk(&self, address: SocketAddr, at: Contestant) -> color_eyre::Result<Counted> {
        let path = match at.model() {
            "fraud" => "/v2/models/fraud/versions/7/infer".to_owned(),
            endpoint => format!("/v2/models/{endpoint}/infer"),
        };
        let output = Command::new("taskset")
            .args(["-c", "1", "wrk", "-t1", &format!("-c{}", self.connections)])
            .arg(format!("-d{}s", self.span.as_secs()))
            .arg("-s")
            .arg(folder().join("infer.lua"))
            .arg(format!("http://{address}/"))
            .args(["--", &path])
            .output()
            .wrap_err("cannot run wrk: install Debian's wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let figures: Vec<u64> = text
            .lines()
            .find_map(|line| line.strip_prefix("figures "))
            .ok_or_else(|| eyre!("wrk says {text:?}"))?
            .split(' ')
            .filter_map(|figure| figure.parse().ok())
            .collect();
        let &[requests, micros, p50, errors] = figures.as_slice() else {
            bail!("wrk says {text:?}");
        };
        if errors > 0 {
            bail!("{errors} of {requests} requests failed at {address}");
        }
        Ok(Counted {
            requests,
            seconds: micros as f64 / 1e6,
            p50_us: p50 as f64,
        })
    }

    fn h2load(&self, address: SocketAddr, at: Contestant) -> color_eyre::Result<Counted> {
        let (body, log) = (self.folder.join("message"), self.folder.join("h2load.log"));
        fs::write(&body, message(at))?;
        let _ = fs::remove_file(&log);
        let output = Command::new("taskset")
            .args([
                "-c",
                "1",
                "h2load",
                "-t1",
                "-m1",
                &format!("-c{}", self.connections),
            ])
            .arg(format!("--duration={}", self.span.as_secs()))
            .arg(format!("--log-file={}", log.display()))
            .args([
                "-H",
                "content-type: application/grpc",
                "-H",
                "te: trailers",
                "-d",
            ])
            .arg(&body)
            .arg(format!(
                "http://{address}/inference.GRPCInferenceService/ModelInfer"
            ))
            .output()
            .wrap_err("cannot run h2load: install Debian's nghttp2-client")?;
        let mut times = Vec::new();
        for line in fs::read_to_string(&log)?.lines() {
            let mut fields = line.split('\t').skip(1);
            let (status, time) = (fields.next(), fields.next());
            if status != Some("200") {
                let text = String::from_utf8_lossy(&output.stdout);
                bail!("a call failed at {address}: {line:?}\n{text}");
            }
            times.extend(time.and_then(|time| time.parse::<u64>().ok()));
        }
        times.sort_unstable();
        let p50 = times
            .get(times.len() / 2)
            .ok_or_else(|| eyre!("no call at {address}"))?;
        Ok(Counted {
            requests: times.len() as u64,
            seconds: self.span.as_secs_f64(),
            p50_us: *p50 as f64,
        })
    }
}

/// A gRPC message of about a kilobyte, with its prefix.
fn message(at: Contestant) -> Vec<u8> {
    let model_version = match at.model() {
        "fraud" => "7",
        _endpoint => "",
    };
    let request = ModelInferRequest {
        model_name: at.model().into(),
        model_version: model_version.into(),
        inputs: vec![InferInputTensor {
            name: "input".into(),
            datatype: "FP32".into(),
            shape: vec![1, serve::COLUMNS as i64],
            ..Default::default()
        }],
        raw_input_contents: vec![vec![7u8; 4 * serve::COLUMNS].into()],
        ..Default::default()
    };
    let body = request.encode_to_vec();
    let mut framed = vec![0];
    framed.extend((body.len() as u32).to_be_bytes());
    framed.extend(body);
    framed
}

/// Opens connections that have had one answer each, and keeps them.
pub(crate) fn hold(address: SocketAddr, connections: usize) -> color_eyre::Result<Vec<TcpStream>> {
    let request = "POST /v2/models/fraud/versions/7/infer HTTP/1.1\r\nhost: h\r\n\
                   content-length: 2\r\n\r\n{}";
    let mut held = Vec::new();
    for _ in 0..connections {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(request.as_bytes())?;
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer)?;
        if !answer
            .get(..read)
            .unwrap_or_default()
            .starts_with(b"HTTP/1.1 200")
        {
            bail!("no answer on a connection to {address}");
        }
        held.push(stream);
    }
    Ok(held)
}
