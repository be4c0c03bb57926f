//! What the codec promises: every encoding gives back what went in, and refuses the rest by name.

// Helpers outside of test functions are tests too: a failed unwrap is a failed test.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

use bytes::Bytes;
use open_inference::{
    Data, DataForm, Datatype, InferRequest, InferResponse, RequestedOutput, Tensor, grpc, rest,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn data(datatype: Datatype, count: usize) -> BoxedStrategy<Data> {
    let text = "[\\PC\u{1b}\"\\\\]{0,6}".prop_map(|s| Bytes::from(s.into_bytes()));
    match datatype {
        Datatype::Bool => vec(any::<bool>(), count).prop_map(Data::Bool).boxed(),
        Datatype::Uint8 => vec(any::<u8>(), count).prop_map(Data::Uint8).boxed(),
        Datatype::Uint16 => vec(any::<u16>(), count).prop_map(Data::Uint16).boxed(),
        Datatype::Uint32 => vec(any::<u32>(), count).prop_map(Data::Uint32).boxed(),
        Datatype::Uint64 => vec(any::<u64>(), count).prop_map(Data::Uint64).boxed(),
        Datatype::Int8 => vec(any::<i8>(), count).prop_map(Data::Int8).boxed(),
        Datatype::Int16 => vec(any::<i16>(), count).prop_map(Data::Int16).boxed(),
        Datatype::Int32 => vec(any::<i32>(), count).prop_map(Data::Int32).boxed(),
        Datatype::Int64 => vec(any::<i64>(), count).prop_map(Data::Int64).boxed(),
        Datatype::Fp16 => vec(any::<u16>(), count).prop_map(Data::Fp16).boxed(),
        Datatype::Bf16 => vec(any::<u16>(), count).prop_map(Data::Bf16).boxed(),
        Datatype::Fp32 => vec(any::<f32>(), count).prop_map(Data::Fp32).boxed(),
        Datatype::Fp64 => vec(any::<f64>(), count).prop_map(Data::Fp64).boxed(),
        Datatype::Bytes => vec(text, count).prop_map(Data::Bytes).boxed(),
    }
}

fn tensor() -> impl Strategy<Value = Tensor> {
    let datatype = prop::sample::select(Datatype::ALL.to_vec());
    ("\\PC{1,8}", vec(0_i64..4, 0..4), datatype).prop_flat_map(|(name, shape, datatype)| {
        let count = shape.iter().product::<i64>() as usize;
        data(datatype, count)
            .prop_map(move |data| Tensor::new(name.clone(), shape.clone(), data).unwrap())
    })
}

fn form() -> impl Strategy<Value = DataForm> {
    prop::sample::select(vec![DataForm::Typed, DataForm::Raw])
}

prop_compose! {
    fn request()(
        id in "\\PC{0,8}",
        inputs in vec(tensor(), 0..4),
        outputs in vec(("\\PC{1,8}", form()), 0..3),
        form in form(),
    ) -> InferRequest {
        let wanted = |(name, form)| RequestedOutput { name, form };
        InferRequest { id, inputs, outputs: outputs.into_iter().map(wanted).collect(), form }
    }
}

/// JSON has no 16-bit floats; everything that `any` makes besides is finite or refused.
fn carried(tensors: &[Tensor]) -> bool {
    tensors.iter().all(|tensor| match tensor.data() {
        Data::Fp16(_) | Data::Bf16(_) => false,
        Data::Fp32(v) => v.iter().all(|x| x.is_finite()),
        Data::Fp64(v) => v.iter().all(|x| x.is_finite()),
        _ => true,
    })
}

fn header(encoded: &rest::Encoded) -> Option<String> {
    encoded.json_bytes.map(|bytes| bytes.to_string())
}

proptest! {
    #[test]
    fn a_rest_request_comes_back_as_it_was_in_both_forms(request in request(), form in form()) {
        match rest::encode_request(&request, form) {
            Ok(encoded) => {
                let back = rest::decode_request(&encoded.body, header(&encoded).as_deref());
                prop_assert_eq!(back.unwrap(), request);
            }
            Err(_) => prop_assert!(form == DataForm::Typed && !carried(&request.inputs)),
        }
    }

    #[test]
    fn a_rest_response_comes_back_with_each_output_in_the_form_asked_for(
        outputs in vec(tensor(), 0..4), request in request(),
    ) {
        let response = InferResponse {
            model_name: "m".into(), model_version: "1".into(), id: "7".into(), outputs,
        };
        match rest::encode_response(&response, &request) {
            Ok(encoded) => {
                let back = rest::decode_response(&encoded.body, header(&encoded).as_deref());
                prop_assert_eq!(back.unwrap(), response);
            }
            Err(_) => prop_assert!(!carried(&response.outputs)),
        }
    }

    #[test]
    fn a_grpc_request_comes_back_as_it_was_in_both_forms(
        mut request in request(), form in form(),
    ) {
        let message = grpc::encode_request("m", "1", request.clone(), form);
        // Over gRPC the outputs' form follows from the inputs'.
        request.form = if message.raw_input_contents.is_empty() {
            DataForm::Typed
        } else {
            DataForm::Raw
        };
        for wanted in &mut request.outputs {
            wanted.form = request.form;
        }
        prop_assert_eq!(grpc::decode_request(message).unwrap(), request);
    }

    #[test]
    fn no_bytes_make_the_decoders_panic(
        body in vec(any::<u8>(), 0..200), at in proptest::option::of("[0-9]{1,3}"),
    ) {
        let _ = rest::decode_request(&Bytes::from(body.clone()), at.as_deref());
        let _ = rest::decode_response(&Bytes::from(body), at.as_deref());
    }
}

fn refused(body: &str) -> String {
    rest::decode_request(&Bytes::from(body.to_owned()), None)
        .unwrap_err()
        .to_string()
}

fn refused_data(datatype: &str, shape: &str, data: &str) -> String {
    refused(&format!(
        r#"{{"inputs":[{{"name":"x","shape":{shape},"datatype":"{datatype}","data":{data}}}]}}"#
    ))
}

fn check(datatype: &str, shape: &str, data: &str, error: &str) {
    assert_eq!(
        refused_data(datatype, shape, data),
        error,
        "{datatype} {shape} {data}"
    );
}

#[test]
fn json_values_that_do_not_fit_are_refused_with_tensor_index_and_value() {
    check(
        "FP32",
        "[2]",
        "[1, \"a\"]",
        "tensor `x`: expected FP32 at index 1, got the text `a`",
    );
    check(
        "FP32",
        "[1]",
        "[null]",
        "tensor `x`: expected FP32 at index 0, got null",
    );
    check(
        "FP32",
        "[1]",
        "[{}]",
        "tensor `x`: expected FP32 at index 0, got an object",
    );
    check(
        "UINT8",
        "[1]",
        "[300]",
        "tensor `x`: expected UINT8 at index 0, got 300",
    );
    check(
        "UINT64",
        "[1]",
        "[-1]",
        "tensor `x`: expected UINT64 at index 0, got -1",
    );
    check(
        "INT64",
        "[1]",
        "[1.5]",
        "tensor `x`: expected INT64 at index 0, got 1.5",
    );
    check(
        "BOOL",
        "[1]",
        "[1]",
        "tensor `x`: expected BOOL at index 0, got 1",
    );
    check(
        "BYTES",
        "[1]",
        "[1]",
        "tensor `x`: expected BYTES at index 0, got 1",
    );
    check(
        "FP32",
        "[1]",
        "3",
        "tensor `x`: expected an array of values, got 3",
    );
    let huge = refused_data("FP32", "[1]", "[1e39]");
    assert!(
        huge.starts_with("tensor `x`: expected FP32 at index 0, got 1000"),
        "{huge}"
    );
}

#[test]
fn nested_data_must_be_nested_as_the_shape_says() {
    check(
        "FP32",
        "[2, 2]",
        "[[1, 2], [3]]",
        "tensor `x`: expected arrays nested as shape [2, 2], got 1 elements at depth 1",
    );
    check(
        "FP32",
        "[2, 2]",
        "[[[1], [2]], [[3], [4]]]",
        "tensor `x`: expected arrays nested as shape [2, 2], got 1 inside 3 arrays",
    );
    check(
        "FP32",
        "[2]",
        "[1, [2]]",
        "tensor `x`: expected values only, as the first one is, \
        got an array",
    );
    check(
        "FP32",
        "[3]",
        "[1, 2]",
        "tensor `x`: expected 3 values for shape [3], got 2",
    );
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    check(
        "FP32",
        "[1]",
        &deep,
        "tensor `x`: expected at most 16 nested arrays, got an array",
    );
}

#[test]
fn nested_and_flat_data_are_the_same_tensor() {
    let of = |data: &str| {
        let body = format!(
            r#"{{"inputs":[{{"name":"x","shape":[2,2],"datatype":"INT8","data":{data}}}]}}"#
        );
        rest::decode_request(&Bytes::from(body), None).unwrap()
    };
    assert_eq!(of("[[1, 2], [-3, 4]]"), of("[1, 2, -3, 4]"));
}

#[test]
fn a_hundred_thousand_open_brackets_are_refused_without_a_stack_overflow() {
    let body = format!(
        r#"{{"inputs":[{{"name":"x","shape":[1],"datatype":"FP32","data":{}"#,
        "[".repeat(100_000)
    );
    assert!(refused(&body).starts_with("the request body is not the protocol's JSON"));
}

#[test]
fn requests_that_are_not_the_protocols_are_refused_with_the_reason() {
    let error = refused("{\"inputs\": 3}");
    assert!(
        error.starts_with("the request body is not the protocol's JSON: "),
        "{error}"
    );
    assert!(refused("{}").contains("missing field `inputs`"));
    assert_eq!(
        refused_data("FLOAT", "[1]", "[1]"),
        "tensor `x`: expected a datatype of the protocol, got `FLOAT`"
    );
    assert_eq!(
        refused_data("FP16", "[1]", "[1]"),
        "tensor `x`: expected raw binary data, got FP16, which JSON cannot carry"
    );
    assert_eq!(
        refused(r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32"}]}"#),
        "tensor `x`: expected data or binary_data_size, got neither"
    );
}

#[test]
fn the_binary_extension_refuses_lengths_that_do_not_fit() {
    let json = r#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32",
        "parameters":{"binary_data_size":4}}]}"#;
    let decode = |extra: &[u8], at: &str| {
        let body = Bytes::from([json.as_bytes(), extra].concat());
        rest::decode_request(&body, Some(at)).map_err(|error| error.to_string())
    };
    let at = json.len().to_string();
    let good = decode(&1.5_f32.to_le_bytes(), &at).unwrap();
    assert_eq!(good.inputs[0].data(), &Data::Fp32(vec![1.5]));
    assert_eq!(
        decode(&[0; 3], &at).unwrap_err(),
        "tensor `x`: expected 4 bytes of binary data, got 3 after the JSON"
    );
    assert_eq!(
        decode(&[0; 6], &at).unwrap_err(),
        "2 bytes after the last tensor belong to no tensor"
    );
    assert!(
        decode(&[], "999999")
            .unwrap_err()
            .contains("says `999999` bytes of JSON")
    );
    assert!(
        decode(&[], "-1")
            .unwrap_err()
            .contains("says `-1` bytes of JSON")
    );
}

#[test]
fn typed_grpc_contents_out_of_range_are_refused_by_name() {
    use open_inference::proto::{
        InferTensorContents, ModelInferRequest, model_infer_request::InferInputTensor,
    };
    let with = |datatype: &str, contents: InferTensorContents, raw: Vec<Bytes>| {
        let input = InferInputTensor {
            name: "x".into(),
            datatype: datatype.into(),
            shape: vec![1],
            contents: Some(contents),
            ..Default::default()
        };
        let raw_input_contents = raw;
        grpc::decode_request(ModelInferRequest {
            inputs: vec![input],
            raw_input_contents,
            ..Default::default()
        })
        .unwrap_err()
        .to_string()
    };
    let ints = InferTensorContents {
        int_contents: vec![200],
        ..Default::default()
    };
    assert_eq!(
        with("INT8", ints.clone(), vec![]),
        "tensor `x`: expected INT8 at index 0, got 200"
    );
    assert_eq!(
        with("FP32", ints.clone(), vec![]),
        "tensor `x`: expected 1 values for shape [1], \
        got 0"
    );
    assert_eq!(
        with("INT8", ints.clone(), vec![Bytes::from_static(&[1])]),
        "tensor `x`: expected raw contents or typed contents, got both"
    );
    assert_eq!(
        with("INT8", ints, vec![Bytes::new(), Bytes::new()]),
        "expected raw contents for all 1 tensors or for none, got 2"
    );
}
