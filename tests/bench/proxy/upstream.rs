//! The gRPC server behind the proxies: reads the call to its end and answers the same bytes.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use open_inference::proto::{ModelInferResponse, model_infer_response::InferOutputTensor};
use tonic_prost::prost::Message as _;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    listen: SocketAddr,
}

pub(crate) fn run(options: &Options) -> color_eyre::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = message();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(options.listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let answer = answer.clone();
            tokio::spawn(async move {
                let serve = service_fn(move |request| call(request, answer.clone()));
                let builder = http2::Builder::new(TokioExecutor::new());
                // A client that hangs up has what it wanted.
                let _ = builder.serve_connection(TokioIo::new(stream), serve).await;
            });
        }
    })
}

type Frames = stream::Iter<std::array::IntoIter<Result<Frame<Bytes>, Infallible>, 2>>;

async fn call(
    mut request: Request<Incoming>,
    answer: Bytes,
) -> Result<Response<StreamBody<Frames>>, hyper::Error> {
    while let Some(frame) = request.frame().await {
        frame?;
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = stream::iter([Ok(Frame::data(answer)), Ok(Frame::trailers(trailers))]);
    let mut response = Response::new(StreamBody::new(frames));
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", kind);
    Ok(response)
}

fn message() -> Bytes {
    let response = ModelInferResponse {
        model_name: "fraud".into(),
        model_version: "7".into(),
        outputs: vec![InferOutputTensor {
            name: "score".into(),
            datatype: "FP32".into(),
            shape: vec![1, 1],
            ..Default::default()
        }],
        raw_output_contents: vec![vec![0u8; 4].into()],
        ..Default::default()
    };
    let body = response.encode_to_vec();
    let mut framed = vec![0];
    framed.extend((body.len() as u32).to_be_bytes());
    framed.extend(body);
    framed.into()
}
