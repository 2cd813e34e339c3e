//! Model files for benches, from one that is there: `requantise IN.gguf OUT.gguf FORMAT` writes the same model with its matrices in another
//! format (F32, F16, Q8_0, Q4_0 or the mixture Q4_K_M); `requantise --gemma3-270m OUT.gguf` writes a model of that one's shape with weights
//! drawn from a seed.
//!
//! A file that is requantised is a little worse than one made from the first weights: it is for measuring speed, and for comparing engines
//! on the very same numbers.

mod file;
mod gemma;
mod mixture;
mod quantise;

use file::{Source, Tensor, bad, write};
use kith_kernels::Pool;
use mixture::Mixture;
use std::{io, path::Path};

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--gemma3-270m", out] => gemma::make(Path::new(out)),
        [input, out, name] => {
            let mixture = Mixture::named(name).ok_or_else(|| bad(format!("{name:?} is none of: {}", Mixture::names())))?;
            requantise(Path::new(input), Path::new(out), mixture)
        }
        _ => Err(bad("say: requantise IN.gguf OUT.gguf FORMAT, or: requantise --gemma3-270m OUT.gguf")),
    }
}

fn requantise(input: &Path, out: &Path, mixture: Mixture) -> io::Result<()> {
    let source = Source::read(input)?;
    let before: Vec<(&Tensor, &[u8])> = source.tensors().collect();
    let layer = |tensor: &Tensor| tensor.name.strip_prefix("blk.")?.split('.').next()?.parse::<usize>().ok();
    let layers = before.iter().filter_map(|(tensor, _)| layer(tensor)).max().map_or(0, |last| last + 1);
    let has_head = before.iter().any(|(tensor, _)| tensor.name == "output.weight");
    let after: Vec<Tensor> =
        before.iter().map(|(tensor, _)| Tensor { format: mixture.of(tensor, layers, has_head), ..(*tensor).clone() }).collect();
    if let Some(tensor) = after
        .iter()
        .zip(&before)
        .find_map(|(after, (before, _))| (after.format != before.format && !quantise::makes(after.format)).then_some(after))
    {
        return Err(bad(format!("{} cannot be made {:?}", tensor.name, tensor.format)));
    }
    let pool = Pool::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    write(out, &source.fields(mixture.number), &after, |number, to| {
        let ((tensor, from), format) = (&before[number], after[number].format);
        if tensor.format == format {
            to.copy_from_slice(from);
            return;
        }
        let depth = tensor.depth();
        let (Some(old), Some(new)) = (tensor.format.row_bytes(depth), format.row_bytes(depth)) else { return };
        pool.for_chunks(to, new, |row, to| {
            let mut values = vec![0.0; depth];
            tensor.format.dequantise(&from[row * old..][..old], &mut values);
            quantise::quantise(format, &values, to);
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use file::Fields;
    use kith_kernels::Format;

    #[test]
    fn a_file_made_anew_holds_nearly_the_same_numbers_in_the_other_format() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["first.gguf", "second.gguf"].map(|name| folder.path().join(name));
        let values: Vec<f32> = (0..2 * 512).map(|at| ((at * 37) % 101) as f32 - 50.0).collect();
        let mut fields = Fields::default();
        fields.u32("general.file_type", 0);
        let tensor = |name: &str, shape: &[usize]| Tensor { name: name.into(), shape: shape.to_vec(), format: Format::F32 };
        let tensors = [tensor("blk.0.attn_q.weight", &[512, 2]), tensor("blk.0.attn_norm.weight", &[4])];
        write(&first, &fields, &tensors, |_, bytes| quantise::quantise(Format::F32, &values[..bytes.len() / 4], bytes)).unwrap();
        requantise(&first, &second, Mixture::named("Q8_0").unwrap()).unwrap();
        let made = Source::read(&second).unwrap();
        fields = Fields::default();
        fields.u32("general.file_type", 7);
        assert_eq!(made.fields(7), fields);
        let found: Vec<_> = made.tensors().collect();
        assert_eq!((found[0].0.format, found[1].0.format), (Format::Q8_0, Format::F32));
        let mut back = vec![0.0; values.len()];
        Format::Q8_0.dequantise(found[0].1, &mut back);
        assert!(back.iter().zip(&values).all(|(back, value)| (back - value).abs() <= 0.25));
    }
}
