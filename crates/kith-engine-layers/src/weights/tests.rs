//! What is refused before any weight is laid out.

use super::*;
use crate::made::{self, LAYERS, Made, VOCABULARY};

fn checked(made: &Made, layers: Range<usize>, head: bool) -> Result<(), String> {
    let file = Gguf::open(made.file().path()).unwrap();
    let shape = Shape::read(&file).unwrap();
    check(&file, &shape, layers, head.then_some(VOCABULARY)).map_err(|error| match error {
        EngineError::UnsupportedModel(reason) => reason,
        other => panic!("{other:?}"),
    })
}

fn whole(made: &Made) -> Result<(), String> {
    checked(made, 0..LAYERS, true)
}

#[test]
fn every_family_passes_whole_and_in_windows() {
    for name in made::names() {
        let made = Made::new(name, Format::Q8_0, 1);
        assert_eq!(whole(&made), Ok(()), "{name}");
        assert_eq!(checked(&made, 2..4, false), Ok(()), "{name}");
    }
}

#[test]
fn a_tensor_that_is_not_known_is_refused_by_the_window_that_it_lies_in() {
    let mut strange = Made::new("llama", Format::Q8_0, 1);
    strange.norm("blk.6.attn_sinks.weight", 4, &mut made::Draw(1));
    assert!(whole(&strange).is_err_and(|why| why.contains("attn_sinks") && why.contains("not known")));
    assert_eq!(checked(&strange, 0..6, false), Ok(()));
    assert!(checked(&strange, 5..7, true).is_err());
    let mut beside = Made::new("llama", Format::Q8_0, 1);
    beside.norm("enc.norm.weight", 4, &mut made::Draw(1));
    assert!(checked(&beside, 0..1, false).is_err_and(|why| why.contains("enc.norm.weight")));
}

#[test]
fn a_tensor_that_is_missing_or_of_another_shape_is_refused() {
    let made = Made::new("llama", Format::Q8_0, 1);
    for name in ["blk.6.ffn_down.weight", "blk.0.attn_q.weight", "output_norm.weight", "blk.3.ffn_norm.weight"] {
        let mut lacking = made.clone();
        lacking.tensors.retain(|(other, ..)| other != name);
        assert!(whole(&lacking).is_err_and(|why| why.contains(name) && why.contains("missing")), "{name}");
        let mut turned = made.clone();
        let (_, shape, ..) = turned.tensors.iter_mut().find(|(other, ..)| other == name).unwrap();
        // As many values, in another order.
        *shape.last_mut().unwrap() /= 2;
        shape.push(2);
        assert!(whole(&turned).is_err_and(|why| why.contains(name) && why.contains("shape")), "{name}");
    }
}
