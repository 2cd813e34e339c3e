//! Pictures for tests, as files.

use std::io::Write;

/// A PNG of this size whose pixels `paint` gives, as red, green and blue.
pub fn png(width: u32, height: u32, paint: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let mut rows = Vec::new();
    for y in 0..height {
        rows.push(0);
        (0..width).for_each(|x| rows.extend(paint(x, y)));
    }
    // Deflate without compression.
    let mut data = vec![0x78, 0x01];
    let mut pieces = rows.chunks(0xffff).peekable();
    while let Some(piece) = pieces.next() {
        let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        data.push(u8::from(pieces.peek().is_none()));
        data.extend(length.to_le_bytes());
        data.extend((!length).to_le_bytes());
        data.extend(piece);
    }
    let (a, b) = rows.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    data.extend(((b << 16) | a).to_be_bytes());
    let mut header = Vec::new();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, bytes) in [(b"IHDR", &header), (b"IDAT", &data), (b"IEND", &Vec::new())] {
        let mut chunk = kind.to_vec();
        chunk.extend(bytes);
        let _ = file.write_all(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        let sum = checksum(&chunk);
        file.extend(chunk);
        file.extend(sum.to_be_bytes());
    }
    file
}

/// A picture in one colour with a brighter corner.
pub fn plain(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
    png(width, height, |x, y| if x < width / 3 && y < height / 3 { [255, 255, 255] } else { colour })
}

/// Says that a PNG is larger than it is.
pub fn grown(mut file: Vec<u8>, width: u32, height: u32) -> Vec<u8> {
    file[16..20].copy_from_slice(&width.to_be_bytes());
    file[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = checksum(&file[12..29]);
    file[29..33].copy_from_slice(&sum.to_be_bytes());
    file
}

/// CRC-32 as PNG uses it.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = 0xffff_ffffu32;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    !sum
}
