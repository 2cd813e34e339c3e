//! The encoder itself: embeddings, then layers of attention and a feed-forward part, each followed by a layer norm.
//!
//! Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2018. Everything is computed in f32.

use super::config::Config;
use candle_core::{DType, Device, Result, Tensor, bail, quantized::gguf_file::Content};
use std::io::{Read, Seek};

/// Added to what attention says of padding, so that its share is zero.
const NEVER: f32 = f32::NEG_INFINITY;

/// The weights of an encoder.
pub(super) struct Network {
    words: Tensor,
    places: Tensor,
    /// The embedding of the first of two texts, which is the only one here.
    kind: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
    device: Device,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    attended: Norm,
    up: Linear,
    down: Linear,
    done: Norm,
}

struct Linear {
    weight: Tensor,
    bias: Tensor,
}

struct Norm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f32,
}

/// Reads tensors whose shape is known beforehand.
struct Source<'a, R> {
    content: &'a Content,
    file: &'a mut R,
    device: &'a Device,
}

impl<R: Read + Seek> Source<'_, R> {
    fn tensor(&mut self, name: &str, shape: &[Option<usize>]) -> Result<Tensor> {
        let Some(info) = self.content.tensor_infos.get(name) else { bail!("the tensor {name} is missing") };
        let dims = info.shape.dims();
        let fits =
            dims.len() == shape.len() && dims.iter().zip(shape).all(|(is, wanted)| wanted.is_none_or(|wanted| wanted == *is));
        if !fits {
            bail!("the tensor {name} has the shape {dims:?}, which does not fit the model's others");
        }
        self.content.tensor(self.file, name, &Device::Cpu)?.dequantize(self.device)?.to_dtype(DType::F32)
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
        let weight = self.tensor(&format!("{name}.weight"), &[Some(outputs), Some(inputs)])?;
        Ok(Linear { weight, bias: self.tensor(&format!("{name}.bias"), &[Some(outputs)])? })
    }

    fn norm(&mut self, name: &str, config: &Config) -> Result<Norm> {
        let weight = self.tensor(&format!("{name}.weight"), &[Some(config.width)])?;
        Ok(Norm { weight, bias: self.tensor(&format!("{name}.bias"), &[Some(config.width)])?, epsilon: config.epsilon })
    }

    fn layer(&mut self, at: usize, config: &Config) -> Result<Layer> {
        let name = |part: &str| format!("blk.{at}.{part}");
        let (width, inner) = (config.width, config.inner);
        Ok(Layer {
            query: self.linear(&name("attn_q"), width, width)?,
            key: self.linear(&name("attn_k"), width, width)?,
            value: self.linear(&name("attn_v"), width, width)?,
            output: self.linear(&name("attn_output"), width, width)?,
            attended: self.norm(&name("attn_output_norm"), config)?,
            up: self.linear(&name("ffn_up"), width, inner)?,
            down: self.linear(&name("ffn_down"), inner, width)?,
            done: self.norm(&name("layer_output_norm"), config)?,
        })
    }
}

impl Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)
    }
}

impl Norm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::layer_norm(x, &self.weight, &self.bias, self.epsilon)
    }
}

impl Network {
    /// Reads the weights of a file with this header. `tokens` is the size of the vocabulary, all of which must have an embedding.
    pub(super) fn read(
        content: &Content,
        file: &mut (impl Read + Seek),
        config: &Config,
        tokens: usize,
        device: &Device,
    ) -> Result<Self> {
        let mut source = Source { content, file, device };
        let words = source.tensor("token_embd.weight", &[None, Some(config.width)])?;
        if words.dim(0)? < tokens {
            bail!("the vocabulary has {tokens} tokens but only {} embeddings", words.dim(0)?);
        }
        let places = source.tensor("position_embd.weight", &[None, Some(config.width)])?;
        // Files with embeddings for one kind of text only write them as a plain vector.
        let plain = content.tensor_infos.get("token_types.weight").is_some_and(|info| info.shape.rank() == 1);
        let shape = [None, Some(config.width)];
        let kinds = source.tensor("token_types.weight", if plain { &shape[1..] } else { &shape })?;
        let kind = if plain { kinds } else { kinds.get(0)?.contiguous()? };
        let norm = source.norm("token_embd_norm", config)?;
        let layers = (0..config.layers).map(|at| source.layer(at, config)).collect::<Result<_>>()?;
        Ok(Self { words, places, kind, norm, layers, heads: config.heads, device: device.clone() })
    }

    /// The outputs of every token of every text, padding left out. Texts have at least one token, and no more than there are places.
    pub(super) fn forward(&self, texts: &[&[u32]]) -> Result<Vec<Vec<Vec<f32>>>> {
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        if longest == 0 {
            return Ok(vec![Vec::new(); texts.len()]);
        }
        let mut ids = vec![0u32; texts.len() * longest];
        for (row, text) in ids.chunks_mut(longest).zip(texts) {
            row[..text.len()].copy_from_slice(text);
        }
        let ids = Tensor::from_vec(ids, texts.len() * longest, &self.device)?;
        let width = self.words.dim(1)?;
        let places = self.places.narrow(0, 0, longest)?.broadcast_add(&self.kind)?;
        let x = self.words.index_select(&ids, 0)?.reshape((texts.len(), longest, width))?.broadcast_add(&places)?;
        let mut x = self.norm.forward(&x.reshape((texts.len() * longest, width))?)?;
        let mask = self.mask(texts, longest)?;
        for layer in &self.layers {
            x = layer.forward(&x, (texts.len(), longest, self.heads), mask.as_ref())?;
        }
        let outputs = x.reshape((texts.len(), longest, width))?.to_vec3::<f32>()?;
        let real = |(mut outputs, text): (Vec<Vec<f32>>, &&[u32])| {
            outputs.truncate(text.len());
            outputs
        };
        Ok(outputs.into_iter().zip(texts).map(real).collect())
    }

    /// What is added to attention, text by text; nothing where all have one length.
    fn mask(&self, texts: &[&[u32]], longest: usize) -> Result<Option<Tensor>> {
        if texts.iter().all(|text| text.len() == longest) {
            return Ok(None);
        }
        let mut mask = vec![0.0f32; texts.len() * longest];
        for (row, text) in mask.chunks_mut(longest).zip(texts) {
            row[text.len()..].fill(NEVER);
        }
        Tensor::from_vec(mask, (texts.len(), 1, 1, longest), &self.device).map(Some)
    }
}

impl Layer {
    /// `x` holds the tokens of all texts, one after the other.
    fn forward(&self, x: &Tensor, (texts, longest, heads): (usize, usize, usize), mask: Option<&Tensor>) -> Result<Tensor> {
        let width = x.dim(1)?;
        let split = |x: Tensor| x.reshape((texts, longest, heads, width / heads))?.transpose(1, 2)?.contiguous();
        let scale = 1.0 / ((width / heads) as f64).sqrt();
        let query = split((self.query.forward(x)? * scale)?)?;
        let key = split(self.key.forward(x)?)?;
        let value = split(self.value.forward(x)?)?;
        let mut shares = query.matmul(&key.transpose(2, 3)?)?;
        if let Some(mask) = mask {
            shares = shares.broadcast_add(mask)?;
        }
        let shares = candle_nn::ops::softmax_last_dim(&shares)?;
        let attended = shares.matmul(&value)?.transpose(1, 2)?.reshape((texts * longest, width))?;
        let x = self.attended.forward(&(x + self.output.forward(&attended)?)?)?;
        let inner = self.up.forward(&x)?.gelu_erf()?;
        self.done.forward(&(&x + self.down.forward(&inner)?)?)
    }
}
