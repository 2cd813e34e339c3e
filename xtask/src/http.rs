//! A client for one's own node on loopback: plain HTTP/1.1, one request a connection, the body read as it arrives.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The longest wait for the next byte. A long prompt on a slow machine is silent until its first token.
const SILENCE: Duration = Duration::from_secs(600);

/// The longest line of a head or of a chunk's length, in bytes.
const LONGEST_LINE: u64 = 16 << 10;

/// An answer whose body has not been read yet.
pub struct Answer {
    pub status: u16,
    /// The body without its transfer coding; a line is there as soon as the node has sent it.
    pub body: Box<dyn BufRead>,
}

/// Sends a GET to `url` (`http://host:port`) and reads the answer's head.
pub fn get(url: &str, path: &str) -> io::Result<Answer> {
    send(url, "GET", path, "")
}

/// Sends a POST with a JSON body.
pub fn post(url: &str, path: &str, json: &str) -> io::Result<Answer> {
    send(url, "POST", path, json)
}

fn send(url: &str, method: &str, path: &str, json: &str) -> io::Result<Answer> {
    let authority = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let mut stream = TcpStream::connect(authority)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    let length = json.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + json).as_bytes())?;
    read_answer(BufReader::new(stream))
}

fn read_answer(mut reader: impl BufRead + 'static) -> io::Result<Answer> {
    let first = line(&mut reader)?;
    let status = first.split_whitespace().nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| broken("no status line"))?;
    let (mut chunked, mut length) = (false, None);
    loop {
        let header = line(&mut reader)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or_else(|| broken("a header without a colon"))?;
        match name.to_ascii_lowercase().as_str() {
            "transfer-encoding" => chunked = value.to_ascii_lowercase().contains("chunked"),
            "content-length" => length = Some(value.trim().parse().map_err(|_| broken("a length that is no number"))?),
            _ => {}
        }
    }
    let body: Box<dyn BufRead> = match length {
        _ if chunked => Box::new(BufReader::new(Chunked { inner: reader, left: 0, ended: false, begun: false })),
        Some(length) => Box::new(reader.take(length)),
        None => Box::new(reader),
    };
    Ok(Answer { status, body })
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.take(LONGEST_LINE).read_line(&mut line)?;
    if !line.ends_with('\n') {
        return Err(broken("a line without an end"));
    }
    Ok(line.trim_end().to_owned())
}

fn broken(says: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the node's answer has {says}"))
}

/// The chunked transfer coding taken off (RFC 9112, section 7.1).
struct Chunked<R> {
    inner: R,
    left: u64,
    begun: bool,
    ended: bool,
}

impl<R: BufRead> Read for Chunked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.ended {
            if self.begun {
                line(&mut self.inner)?;
            }
            self.begun = true;
            let size = line(&mut self.inner)?;
            let digits = size.split(';').next().unwrap_or_default().trim();
            self.left = u64::from_str_radix(digits, 16).map_err(|_| broken("a chunk without a length"))?;
            self.ended = self.left == 0;
        }
        if self.ended {
            return Ok(0);
        }
        let read = (&mut self.inner).take(self.left).read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body_of(answer: &'static str) -> io::Result<(u16, String)> {
        let mut answer = read_answer(answer.as_bytes())?;
        let mut body = String::new();
        answer.body.read_to_string(&mut body)?;
        Ok((answer.status, body))
    }

    #[test]
    fn a_body_of_known_length_ends_there() {
        let (status, body) = body_of("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nnomore").unwrap();
        assert_eq!((status, body.as_str()), (404, "no"));
    }

    #[test]
    fn chunks_are_joined() {
        let (_, body) =
            body_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nkith\r\na;x=1\r\n and kin\r\n\r\n0\r\n\r\n")
                .unwrap();
        assert_eq!(body, "kith and kin\r\n");
    }

    #[test]
    fn a_body_that_breaks_off_is_an_error_and_not_an_end() {
        let cut = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\nkith";
        assert_eq!(body_of(cut).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert!(body_of("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nkith\r\n").is_err());
    }

    #[test]
    fn what_is_not_http_is_refused() {
        assert!(body_of("hello\r\n\r\n").is_err());
        assert!(body_of("").is_err());
    }
}
