//! Sockets that a service manager holds open for us (`sd_listen_fds(3)`): a restart never closes their port, and who
//! comes in between waits in their queue.

use std::net::TcpListener;

/// The sockets by the listener that each is for, which is its `FileDescriptorName`.
#[derive(Debug, Default)]
pub(super) struct Inherited(Vec<(String, TcpListener)>);

/// What a socket may be called: the sections of the configuration that it stands for.
const LISTENERS: [&str; 4] = ["s3", "soap", "portal", "metrics"];

/// What the service manager has passed to this process, once: the environment says nothing of it afterwards.
///
/// # Errors
///
/// A socket that is no listening TCP socket, or whose name is no listener's, or two of one name.
pub(super) fn inherited() -> Result<Inherited, String> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut passed = listenfd::ListenFd::from_env();
    let mut names = names.split(':');
    let mut all = Inherited::default();
    for place in 0..passed.len() {
        let name = names.next().unwrap_or_default();
        let socket = passed
            .take_tcp_listener(place)
            .map_err(|error| format!("socket {name:?} of the service manager: {error}"))?;
        // Taken once each: the place is below the length.
        let Some(socket) = socket else { continue };
        all.add(name, socket)?;
    }
    Ok(all)
}

impl Inherited {
    fn add(&mut self, name: &str, socket: TcpListener) -> Result<(), String> {
        if !LISTENERS.contains(&name) {
            let right = LISTENERS.join(", ");
            return Err(format!(
                "the service manager passes a socket with the name {name:?}; set its FileDescriptorName to one of {right}"
            ));
        }
        if self.0.iter().any(|(taken, _)| taken == name) {
            return Err(format!("the service manager passes two sockets with the name {name:?}; one is right"));
        }
        self.0.push((name.to_owned(), socket));
        Ok(())
    }

    /// The socket of a listener, another handle each time: a store that is opened anew after a failure is served at the
    /// same one. `None` where we have to listen ourselves.
    pub(super) fn of(&self, listener: &str) -> std::io::Result<Option<TcpListener>> {
        self.0.iter().find(|(name, _)| name == listener).map(|(_, socket)| socket.try_clone()).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_known_by_its_name_again_and_again() {
        let socket = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (s3, soap) = (socket(), socket());
        let at = s3.local_addr().expect("bound");
        let mut all = Inherited::default();
        all.add("s3", s3).expect("right");
        all.add("soap", soap).expect("right");
        for _ in 0..2 {
            let again = all.of("s3").expect("cloned").expect("there");
            assert_eq!(again.local_addr().expect("bound"), at);
        }
        assert!(all.of("portal").expect("nothing to clone").is_none());
        let twice = all.add("s3", socket()).expect_err("twice");
        assert!(twice.contains("two sockets with the name \"s3\""), "{twice}");
        let unnamed = all.add("kandian.socket", socket()).expect_err("no listener");
        assert!(unnamed.contains("FileDescriptorName") && unnamed.contains("s3, soap, portal, metrics"), "{unnamed}");
    }
}
