//! What a model takes and gives: its tensors by name, datatype and shape.
//!
//! [`Signature::order`] holds a request against it before anything is run, so that a wrong tensor
//! is refused by name and never reaches the inference library.

use open_inference::{CodecError, Data, Datatype, InferRequest, Tensor};

/// One tensor of a model; a dimension of -1 may have any size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// Its datatype.
    pub datatype: Datatype,
    /// Its dimensions.
    pub shape: Vec<i64>,
}

/// All tensors of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What it takes, all of it required.
    pub inputs: Vec<TensorSpec>,
    /// What it gives.
    pub outputs: Vec<TensorSpec>,
}

impl Signature {
    /// The request's inputs in the model's own order.
    ///
    /// # Errors
    /// Names the first tensor that is missing, unknown, given twice, or of another datatype or
    /// shape; and the first output asked for that the model does not give.
    pub fn order(&self, request: &mut InferRequest) -> Result<Vec<Tensor>, CodecError> {
        for wanted in &request.outputs {
            if !self.outputs.iter().any(|output| output.name == wanted.name) {
                let expected = format!("one of the outputs {}", names(&self.outputs));
                return Err(CodecError::tensor(&wanted.name, expected, "no such output"));
            }
        }
        let mut ordered: Vec<Option<Tensor>> = vec![None; self.inputs.len()];
        for tensor in std::mem::take(&mut request.inputs) {
            let at = self
                .inputs
                .iter()
                .position(|spec| spec.name == tensor.name());
            let found = at.and_then(|at| Some((self.inputs.get(at)?, ordered.get_mut(at)?)));
            let Some((spec, slot)) = found else {
                let expected = format!("one of the inputs {}", names(&self.inputs));
                return Err(CodecError::tensor(tensor.name(), expected, "no such input"));
            };
            spec.admit(&tensor)?;
            if slot.replace(tensor).is_some() {
                return Err(CodecError::tensor(&spec.name, "it once", "it twice"));
            }
        }
        let required = |(spec, tensor): (&TensorSpec, Option<Tensor>)| {
            tensor.ok_or_else(|| CodecError::tensor(&spec.name, spec.shown(), "nothing"))
        };
        self.inputs.iter().zip(ordered).map(required).collect()
    }

    /// The smallest request that the model should answer: zeros, every free dimension 1.
    ///
    /// # Errors
    /// When the model's own shapes are beyond what a tensor may be.
    pub fn zeros(&self) -> Result<Vec<Tensor>, CodecError> {
        self.inputs.iter().map(TensorSpec::zeros).collect()
    }
}

impl TensorSpec {
    /// The datatype and the shape, as errors and people show them.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {:?}", self.datatype, self.shape)
    }

    fn admit(&self, tensor: &Tensor) -> Result<(), CodecError> {
        let fits = |(wanted, came): (&i64, &i64)| *wanted < 0 || wanted == came;
        let same_rank = self.shape.len() == tensor.shape().len();
        let same = tensor.datatype() == self.datatype
            && same_rank
            && self.shape.iter().zip(tensor.shape()).all(fits);
        if same {
            return Ok(());
        }
        let came = format!("{} {:?}", tensor.datatype(), tensor.shape());
        Err(CodecError::tensor(&self.name, self.shown(), came))
    }

    fn zeros(&self) -> Result<Tensor, CodecError> {
        let shape: Vec<i64> = self
            .shape
            .iter()
            .map(|&size| if size < 0 { 1 } else { size })
            .collect();
        let count = shape.iter().try_fold(1_usize, |product, &size| {
            let product = product.checked_mul(usize::try_from(size).ok()?)?;
            (product <= ZEROS_MAX).then_some(product)
        });
        let Some(count) = count else {
            let expected = format!("a shape of at most {ZEROS_MAX} values");
            return Err(CodecError::tensor(
                &self.name,
                expected,
                format!("{shape:?}"),
            ));
        };
        Tensor::new(&self.name, shape, Data::zeros(self.datatype, count))
    }
}

/// Most values of a warm-up tensor: a 4K image in colour, several times over; more than that is
/// a damaged file that would have us allocate it.
const ZEROS_MAX: usize = 1 << 27;

fn names(specs: &[TensorSpec]) -> String {
    let quoted: Vec<_> = specs
        .iter()
        .map(|spec| format!("`{}`", spec.name))
        .collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use open_inference::{DataForm, RequestedOutput};

    use super::*;

    fn signature() -> Signature {
        let spec = |name: &str, datatype, shape: &[i64]| TensorSpec {
            name: name.to_owned(),
            datatype,
            shape: shape.to_vec(),
        };
        Signature {
            inputs: vec![
                spec("a", Datatype::Fp32, &[-1, 2]),
                spec("b", Datatype::Int64, &[1]),
            ],
            outputs: vec![spec("y", Datatype::Fp32, &[-1])],
        }
    }

    fn a() -> Tensor {
        Tensor::new("a", vec![1, 2], Data::Fp32(vec![1.0, 2.0])).unwrap()
    }

    fn b() -> Tensor {
        Tensor::new("b", vec![1], Data::Int64(vec![3])).unwrap()
    }

    fn order(inputs: Vec<Tensor>, outputs: &[&str]) -> Result<Vec<Tensor>, String> {
        let wanted = |name: &&str| RequestedOutput {
            name: (*name).to_owned(),
            form: DataForm::Typed,
        };
        let mut request = InferRequest {
            id: String::new(),
            inputs,
            outputs: outputs.iter().map(wanted).collect(),
            form: DataForm::Typed,
        };
        signature()
            .order(&mut request)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn inputs_are_given_in_the_models_order_whatever_order_they_came_in() {
        assert_eq!(order(vec![b(), a()], &["y"]), Ok(vec![a(), b()]));
    }

    #[test]
    fn every_wrong_tensor_is_refused_with_its_name_and_both_sides() {
        let check = |inputs: Vec<Tensor>, outputs: &[&str], error: &str| {
            assert_eq!(order(inputs, outputs), Err(error.to_owned()));
        };
        check(
            vec![a()],
            &[],
            "tensor `b`: expected INT64 [1], got nothing",
        );
        check(
            vec![a(), a()],
            &[],
            "tensor `a`: expected it once, got it twice",
        );
        let c = Tensor::new("c", vec![1], Data::Int64(vec![3])).unwrap();
        check(
            vec![c],
            &[],
            "tensor `c`: expected one of the inputs `a`, `b`, got no such input",
        );
        let wide = Tensor::new("a", vec![1, 3], Data::Fp32(vec![0.0; 3])).unwrap();
        check(
            vec![wide],
            &[],
            "tensor `a`: expected FP32 [-1, 2], got FP32 [1, 3]",
        );
        let flat = Tensor::new("a", vec![2], Data::Fp32(vec![0.0; 2])).unwrap();
        check(
            vec![flat],
            &[],
            "tensor `a`: expected FP32 [-1, 2], got FP32 [2]",
        );
        let double = Tensor::new("a", vec![1, 2], Data::Fp64(vec![0.0; 2])).unwrap();
        check(
            vec![double],
            &[],
            "tensor `a`: expected FP32 [-1, 2], got FP64 [1, 2]",
        );
        check(
            vec![a(), b()],
            &["z"],
            "tensor `z`: expected one of the outputs `y`, got no such output",
        );
    }

    #[test]
    fn zeros_fill_the_smallest_shape_and_refuse_an_absurd_one() {
        let zeros = signature().zeros().unwrap();
        assert_eq!(zeros[0].shape(), [1, 2]);
        let mut absurd = signature();
        absurd.inputs[0].shape = vec![1 << 40, 1 << 40];
        assert!(absurd.zeros().is_err());
    }
}
