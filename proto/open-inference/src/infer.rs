//! An inference request and its response, free of any encoding.

use crate::Tensor;

/// What a client asks of a model; which model is said by the URL or the message around it.
#[derive(Clone, Debug, PartialEq)]
pub struct InferRequest {
    /// Given back in the response; empty when the client gave none.
    pub id: String,
    /// The model's inputs, in the order they came.
    pub inputs: Vec<Tensor>,
    /// The outputs wanted; none means all of them, each as `form` says.
    pub outputs: Vec<RequestedOutput>,
    /// How an output that is not listed in `outputs` is to be sent.
    pub form: DataForm,
}

/// One output that the client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedOutput {
    /// Its name.
    pub name: String,
    /// How its values are to be sent.
    pub form: DataForm,
}

/// How a tensor's values travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataForm {
    /// As typed values: JSON numbers, or protobuf's repeated fields.
    Typed,
    /// As raw little-endian bytes.
    Raw,
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq)]
pub struct InferResponse {
    /// The model's name.
    pub model_name: String,
    /// The version that answered.
    pub model_version: String,
    /// The request's id; empty when it had none.
    pub id: String,
    /// The outputs.
    pub outputs: Vec<Tensor>,
}

impl InferRequest {
    /// How the output of that name is to be sent.
    #[must_use]
    pub fn form_of(&self, output: &str) -> DataForm {
        let listed = self.outputs.iter().find(|wanted| wanted.name == output);
        listed.map_or(self.form, |wanted| wanted.form)
    }
}
