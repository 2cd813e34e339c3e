//! probe
#![allow(clippy::unwrap_used, clippy::print_stdout)]
use candle_core::{
    Device,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{self, Content, Value},
    },
};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let kind = match a[3].as_str() {
        "q8" => GgmlDType::Q8_0,
        "q40" => GgmlDType::Q4_0,
        _ => panic!(),
    };
    let mut f = std::fs::File::open(&a[1]).unwrap();
    let c = Content::read(&mut f).unwrap();
    let mut ts = vec![];
    for n in c.tensor_infos.keys() {
        let t = c.tensor(&mut f, n, &Device::Cpu).unwrap();
        let t =
            if t.dtype() == GgmlDType::Q4_1 { QTensor::quantize(&t.dequantize(&Device::Cpu).unwrap(), kind).unwrap() } else { t };
        ts.push((n.clone(), t));
    }
    let md: Vec<(&str, &Value)> = c.metadata.iter().map(|(k, v)| (k.as_str(), v)).collect();
    let tr: Vec<(&str, &QTensor)> = ts.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let mut o = std::fs::File::create(&a[2]).unwrap();
    gguf_file::write(&mut o, &md, &tr).unwrap();
}
