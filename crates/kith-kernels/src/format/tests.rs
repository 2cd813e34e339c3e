//! Blocks of every format against values worked out by hand.

use super::*;
use crate::float::to_f16;

fn values(format: Format, bytes: &[u8]) -> Vec<f32> {
    let mut values = vec![0.0; bytes.len() / format.block_bytes() * format.block_len()];
    format.dequantise(bytes, &mut values);
    values
}

fn half(value: f32) -> [u8; 2] {
    to_f16(value).to_le_bytes()
}

#[test]
fn floats_are_what_they_are() {
    assert_eq!(values(Format::F32, &[0, 0, 0xc0, 0x3f]), [1.5]);
    assert_eq!(values(Format::F16, &[0, 0x3e]), [1.5]);
    assert_eq!(values(Format::BF16, &[0xc0, 0x3f]), [1.5]);
}

#[test]
fn blocks_of_32_worked_out_by_hand() {
    let mut block = half(0.5).to_vec();
    block.extend((0..16).map(|i| i | (15 - i) << 4));
    let got = values(Format::Q4_0, &block);
    assert_eq!((got[0], got[15], got[16], got[31]), (-4.0, 3.5, 3.5, -4.0));

    let mut block = [half(0.5), half(-1.0)].concat();
    block.extend((0..16).map(|i| i | (15 - i) << 4));
    let got = values(Format::Q4_1, &block);
    assert_eq!((got[0], got[15], got[16], got[31]), (-1.0, 6.5, 6.5, -1.0));

    // The fifth bits of values 0 and 17 are set.
    let mut block = [half(2.0).as_slice(), &[1, 0, 2, 0]].concat();
    block.extend([0x31; 16]);
    let got = values(Format::Q5_0, &block);
    assert_eq!((got[0], got[1], got[16], got[17]), (2.0, -30.0, -26.0, 6.0));

    let mut block = [half(2.0).as_slice(), &half(1.0), &[1, 0, 2, 0]].concat();
    block.extend([0x31; 16]);
    let got = values(Format::Q5_1, &block);
    assert_eq!((got[0], got[1], got[16], got[17]), (35.0, 3.0, 7.0, 39.0));

    let mut block = half(0.25).to_vec();
    block.extend((0..32).map(|i| (i * 8) as u8));
    let got = values(Format::Q8_0, &block);
    assert_eq!((got[0], got[1], got[16], got[31]), (0.0, 2.0, -32.0, -2.0));
}

#[test]
fn a_block_of_two_bits_worked_out_by_hand() {
    let mut block = vec![0u8; 84];
    // Sub-block 3 (values 48 to 63): scale 5, minimum 2. They are bits 2 and 3 of bytes 16 to 31.
    block[3] = 0x25;
    block[16 + 16] = 3 << 2;
    block[80..82].copy_from_slice(&half(0.5));
    block[82..84].copy_from_slice(&half(0.25));
    let got = values(Format::Q2_K, &block);
    assert_eq!((got[47], got[48], got[49], got[64]), (0.0, 7.0, -0.5, 0.0));
    // Sub-block 13 is values 208 to 223: the second half's bits 4 and 5 of its bytes 16 to 31.
    block[13] = 0x01;
    block[16 + 32 + 17] = 2 << 4;
    assert_eq!(values(Format::Q2_K, &block)[209], 1.0);
}

#[test]
fn a_block_of_three_bits_worked_out_by_hand() {
    let mut block = vec![0u8; 110];
    block[108..].copy_from_slice(&half(1.0));
    // All scales are 0 - 32; a clear third bit means -4.
    assert!(values(Format::Q3_K, &block).iter().all(|value| *value == 128.0));
    // Scale 9: low nibble in the high half of byte 1, high bits in bits 4 and 5 of byte 8 + 1: 0b10_0111 = 39, less 32 is 7.
    block[96 + 1] = 7 << 4;
    block[96 + 9] = 2 << 4;
    // Value 145 lies in sub-block 9: the second half, byte 17, bits 0 and 1; its third bit is bit 4 of byte 17.
    block[32 + 32 + 17] = 3;
    block[17] = 1 << 4;
    let got = values(Format::Q3_K, &block);
    assert_eq!((got[144], got[145], got[146]), (-28.0, 21.0, -28.0));
}

#[test]
fn blocks_of_four_and_five_bits_worked_out_by_hand() {
    let mut scales = [0u8; 12];
    // Scale 0 is 33, minimum 0 is 2; scale 5 is 0b11_0110 = 54, minimum 5 is 0b01_0011 = 19.
    scales[0] = 33;
    scales[4] = 2;
    scales[1] = 3 << 6;
    scales[5] = 1 << 6;
    scales[9] = 3 << 4 | 6;
    let mut block = [half(0.5), half(0.25)].concat();
    block.extend(scales);
    block.extend([0u8; 128]);
    block[16] = 9;
    // Value 160 is the first of sub-block 5: a high nibble of the third 32 bytes.
    block[16 + 64] = 4 << 4;
    let got = values(Format::Q4_K, &block);
    assert_eq!((got[0], got[1]), (33.0 * 0.5 * 9.0 - 0.5, -0.5));
    assert_eq!((got[160], got[161]), (54.0 * 0.5 * 4.0 - 19.0 * 0.25, -19.0 * 0.25));

    let mut high = [0u8; 32];
    high[0] = 1 | 1 << 5;
    block.splice(16..16, high);
    let got = values(Format::Q5_K, &block);
    assert_eq!((got[0], got[1]), (33.0 * 0.5 * 25.0 - 0.5, -0.5));
    assert_eq!((got[160], got[161]), (54.0 * 0.5 * 20.0 - 19.0 * 0.25, -19.0 * 0.25));
}

#[test]
fn a_block_of_six_bits_worked_out_by_hand() {
    let mut block = vec![0u8; 210];
    block[192..208].copy_from_slice(&[1; 16]);
    block[208..].copy_from_slice(&half(0.5));
    // Value 229 = 128 + 64 + 37: high nibble of low byte 64 + 37, bits 6 and 7 of high byte 32 + 5; its scale is number 14.
    block[64 + 37] = 0xb0;
    block[128 + 32 + 5] = 2 << 6;
    block[192 + 14] = (-3i8) as u8;
    let got = values(Format::Q6_K, &block);
    assert_eq!((got[0], got[229], got[230]), (-16.0, (43.0 - 32.0) * -1.5, 48.0));
}

#[test]
fn numbers_of_the_file_and_sizes_of_rows() {
    for format in Format::ALL {
        assert_eq!(Format::from_gguf(format.gguf()), Some(format));
    }
    assert_eq!(Format::from_gguf(9), None);
    assert_eq!(Format::Q4_K.row_bytes(512), Some(288));
    assert_eq!(Format::Q4_K.row_bytes(500), None);
    assert_eq!(Format::F32.row_bytes(usize::MAX), None);
}
