//! What the models answer is what scikit-learn predicted, over every way of asking; and values of
//! every datatype reach a model and come back unchanged.

use std::net::SocketAddr;

use bytes::Bytes;
use open_inference::{
    Data, DataForm, Datatype, InferRequest, InferResponse, RequestedOutput, Tensor, grpc, rest,
};
use serde::Deserialize;

use crate::client::{self, Folder, Http};

/// The largest difference that FP32 arithmetic makes in a probability.
const TOLERANCE: f32 = 2e-6;

#[derive(Deserialize)]
struct Golden {
    rows: Vec<Vec<f32>>,
    predictions: std::collections::BTreeMap<String, Prediction>,
}

#[derive(Deserialize)]
struct Prediction {
    label: Vec<i64>,
    probabilities: Vec<Vec<f32>>,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Json,
    Binary,
    GrpcTyped,
    GrpcRaw,
}

struct Clients {
    http: Http,
    grpc: open_inference::proto::grpc_inference_service_client::GrpcInferenceServiceClient<
        tonic::transport::Channel,
    >,
}

impl Clients {
    async fn of(http: SocketAddr, grpc: SocketAddr) -> Self {
        Self {
            http: Http::to(http).await,
            grpc: client::grpc(grpc).await,
        }
    }

    async fn ask(
        &mut self,
        way: Way,
        model: &str,
        version: &str,
        request: InferRequest,
    ) -> InferResponse {
        let form = match way {
            Way::Json | Way::GrpcTyped => DataForm::Typed,
            Way::Binary | Way::GrpcRaw => DataForm::Raw,
        };
        match way {
            Way::Json | Way::Binary => {
                let encoded = rest::encode_request(&request, form).unwrap();
                let path = format!("/v2/models/{model}/versions/{version}/infer");
                let mut asked = client::request(http::Method::POST, &path, encoded.body);
                if let Some(bytes) = encoded.json_bytes {
                    let name = open_inference::HEADER_CONTENT_LENGTH;
                    asked.headers_mut().insert(name, bytes.into());
                }
                let answer = self.http.send(asked).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                let header = answer.headers.get(open_inference::HEADER_CONTENT_LENGTH);
                let header = header.map(|value| value.to_str().unwrap().to_owned());
                assert_eq!(header.is_some(), form == DataForm::Raw);
                rest::decode_response(&answer.body, header.as_deref()).unwrap()
            }
            Way::GrpcTyped | Way::GrpcRaw => {
                let message = grpc::encode_request(model, version, request, form);
                let answer = self.grpc.model_infer(message).await.unwrap().into_inner();
                assert_eq!(
                    answer.raw_output_contents.is_empty(),
                    form == DataForm::Typed
                );
                grpc::decode_response(answer).unwrap()
            }
        }
    }
}

fn request(inputs: Vec<Tensor>, form: DataForm) -> InferRequest {
    InferRequest {
        id: "7".to_owned(),
        inputs,
        outputs: Vec::new(),
        form,
    }
}

fn features(rows: &[Vec<f32>]) -> Tensor {
    let shape = vec![rows.len() as i64, rows[0].len() as i64];
    Tensor::new("features", shape, Data::Fp32(rows.concat())).unwrap()
}

#[track_caller]
fn assert_predicted(response: &InferResponse, labels: &[i64], probabilities: &[Vec<f32>]) {
    assert_eq!(response.id, "7");
    let [label, probability] = response.outputs.as_slice() else {
        panic!("{response:?}")
    };
    assert_eq!(label.data(), &Data::Int64(labels.to_vec()));
    let Data::Fp32(values) = probability.data() else {
        panic!("{probability:?}")
    };
    let expected = probabilities.concat();
    assert_eq!(probability.shape()[0], labels.len() as i64);
    assert_eq!(values.len(), expected.len());
    for (value, expected) in values.iter().zip(expected) {
        assert!((value - expected).abs() <= TOLERANCE, "{value} {expected}");
    }
}

#[tokio::test]
async fn every_held_out_row_is_predicted_as_scikit_learn_predicts_it_over_every_way_of_asking() {
    let server = client::start(&client::demo()).await;
    let mut clients = Clients::of(server.http(), server.grpc()).await;
    for model in ["tumour", "wine"] {
        let text = std::fs::read_to_string(client::demo().join(model).join("rows.json")).unwrap();
        let golden: Golden = serde_json::from_str(&text).unwrap();
        assert_eq!(golden.predictions.len(), 2);
        for (version, predicted) in &golden.predictions {
            for way in [Way::Json, Way::Binary, Way::GrpcTyped, Way::GrpcRaw] {
                let form = if matches!(way, Way::Binary) {
                    DataForm::Raw
                } else {
                    DataForm::Typed
                };
                let whole = request(vec![features(&golden.rows)], form);
                let response = clients.ask(way, model, version, whole).await;
                assert_predicted(&response, &predicted.label, &predicted.probabilities);
                assert_eq!(response.model_version, *version);
            }
            for (at, row) in golden.rows.iter().enumerate() {
                let one = request(vec![features(std::slice::from_ref(row))], DataForm::Typed);
                let response = clients.ask(Way::Json, model, version, one).await;
                let probabilities = &predicted.probabilities[at..=at];
                assert_predicted(&response, &predicted.label[at..=at], probabilities);
            }
        }
    }
    server.stop().await;
}

fn values(datatype: Datatype) -> Data {
    match datatype {
        Datatype::Bool => Data::Bool(vec![true, false, true]),
        Datatype::Uint8 => Data::Uint8(vec![0, 1, u8::MAX]),
        Datatype::Uint16 => Data::Uint16(vec![0, 1, u16::MAX]),
        Datatype::Uint32 => Data::Uint32(vec![0, 1, u32::MAX]),
        Datatype::Uint64 => Data::Uint64(vec![0, 1, u64::MAX]),
        Datatype::Int8 => Data::Int8(vec![i8::MIN, -1, i8::MAX]),
        Datatype::Int16 => Data::Int16(vec![i16::MIN, -1, i16::MAX]),
        Datatype::Int32 => Data::Int32(vec![i32::MIN, -1, i32::MAX]),
        Datatype::Int64 => Data::Int64(vec![i64::MIN, -1, i64::MAX]),
        Datatype::Fp16 => Data::Fp16(vec![0x3c00, 0x8000, 0x7c00]),
        Datatype::Bf16 => Data::Bf16(vec![0x3f80, 0x8000, 0x7f80]),
        Datatype::Fp32 => Data::Fp32(vec![f32::MIN, f32::MIN_POSITIVE, 0.1]),
        Datatype::Fp64 => Data::Fp64(vec![f64::MIN, f64::MIN_POSITIVE, 0.1]),
        Datatype::Bytes => Data::Bytes(
            ["", "wörd", "\u{1b}[31m"]
                .map(|s| Bytes::from(s.as_bytes()))
                .to_vec(),
        ),
    }
}

#[tokio::test]
async fn values_of_every_datatype_reach_the_model_and_come_back_unchanged() {
    let folder = Folder::empty();
    folder.put("mirror", "1", &client::small("mirror.onnx"));
    let server = client::start(folder.path()).await;
    let mut clients = Clients::of(server.http(), server.grpc()).await;
    let all: Vec<Tensor> = Datatype::ALL
        .into_iter()
        .map(|one| Tensor::new(format!("in_{one}"), vec![3], values(one)).unwrap())
        .collect();
    for way in [Way::Binary, Way::GrpcRaw] {
        let response = clients
            .ask(way, "mirror", "1", request(all.clone(), DataForm::Raw))
            .await;
        assert_eq!(response.outputs.len(), Datatype::ALL.len());
        for output in &response.outputs {
            assert_eq!(
                output.data(),
                &values(output.datatype()),
                "{way:?} {}",
                output.name()
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn only_the_outputs_asked_for_come_each_in_its_form() {
    let server = client::start(&client::demo()).await;
    let mut clients = Clients::of(server.http(), server.grpc()).await;
    let mut asked = request(vec![features(&[vec![0.0; 13]])], DataForm::Typed);
    asked.outputs = vec![RequestedOutput {
        name: "probabilities".to_owned(),
        form: DataForm::Raw,
    }];
    let response = clients.ask(Way::Binary, "wine", "1", asked).await;
    let [only] = response.outputs.as_slice() else {
        panic!("{response:?}")
    };
    assert_eq!(
        (only.name(), only.shape()),
        ("probabilities", [1, 3].as_slice())
    );
    server.stop().await;
}
