//! The reference server under the client of the bench.

use super::*;
use crate::bench::connection::Connection;

fn call(connection: &mut Connection, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let head = format!("{method} {path} HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n", body.len());
    connection.send(head.as_bytes(), body).unwrap();
    let status = connection.status().unwrap();
    let mut out = Vec::new();
    connection.body(|piece| out.extend_from_slice(piece)).unwrap();
    (status, out)
}

#[test]
fn what_was_put_comes_back_until_it_is_deleted_and_no_file_is_left() {
    for (limit, buffered) in [(Limit::Pread, true), (Limit::Sendfile, false)] {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let log = Arc::new(Log::create(dir.path(), 64 << 20, buffered).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        std::thread::spawn(move || serve::serve(&listener, &log, limit));
        let threads: Vec<_> = (0..4_u8)
            .map(|thread| {
                let mut connection = Connection::new(&address, None);
                std::thread::spawn(move || {
                    for size in [0, 1, 5000, 65_536, 1 << 20, (3 << 20) + 77] {
                        let path = format!("/{thread}/{size}");
                        let body: Vec<u8> = (0..size).map(|at: usize| at.to_le_bytes()[at % 3] ^ thread).collect();
                        assert_eq!(call(&mut connection, "PUT", &path, &body).0, 200);
                        let (status, back) = call(&mut connection, "GET", &path, b"");
                        assert!(status == 200 && back == body, "{path}: {status}, {} bytes", back.len());
                        assert_eq!(call(&mut connection, "DELETE", &path, b"").0, 204);
                        assert_eq!(call(&mut connection, "GET", &path, b"").0, 404);
                    }
                    assert_eq!(call(&mut connection, "PATCH", "/", b"").0, 501);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
