//! Connections: requests come in and answers go out, many at once. The only asynchronous code.

use std::convert::Infallible;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::problem::Problem;
use super::reply::{Body, Reply};
use super::{Answered, Options, Registry};
use crate::{IoResultExt, Result};

/// Connections at once; others wait to be accepted.
const CONNECTIONS: usize = 256;
/// How long a client may take for the head of a request, and between two pieces of a body, either way.
const PATIENCE: Duration = Duration::from_secs(60);
/// The same for the rest of a body that nobody wants.
const LINGERING: Duration = Duration::from_millis(200);
/// How long requests that are under way may take when the server ends.
const FAREWELL: Duration = Duration::from_secs(10);
/// How often what nobody needs any longer is cleared away.
const CLEARING: Duration = Duration::from_secs(3600);
/// Bytes of an answer that are sent at once, and how many such pieces wait.
const PIECE: usize = 128 << 10;
const PIECES: usize = 4;
/// The largest head of a request.
const HEAD: usize = 64 << 10;

/// A registry that listens.
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    registry: Arc<Registry>,
}

/// What is called for each request that was answered.
pub type OnAnswer = Arc<dyn Fn(&Answered) + Send + Sync>;

impl Server {
    /// Listen at the address of the options. Nothing is served before [`run`](Self::run).
    pub fn bind(store: &std::path::Path, options: Options) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.on("start", "the server's threads")?;
        let address = options.listen;
        let listener = runtime.block_on(TcpListener::bind(address)).on("listen at", address.to_string())?;
        Ok(Self { runtime, listener, registry: Arc::new(Registry::new(store.to_owned(), options)?) })
    }

    /// Where it listens: with the port that the system chose.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().on("look up", "the server's address")
    }

    /// Serve until SIGINT or SIGTERM; then requests that are under way may end.
    pub fn run(self, on_answer: OnAnswer) -> Result<()> {
        let Self { runtime, listener, registry } = self;
        let served = runtime.block_on(serve(listener, registry, on_answer));
        runtime.shutdown_timeout(Duration::ZERO);
        served.on("wait for", "signals")
    }
}

async fn serve(listener: TcpListener, registry: Arc<Registry>, on_answer: OnAnswer) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut clearing = tokio::time::interval(CLEARING);
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = clearing.tick() => clear(&registry),
            accepted = accept(&listener, &connections) => {
                let Some((stream, client, permit)) = accepted else { continue };
                let (registry, on_answer) = (registry.clone(), on_answer.clone());
                let service = hyper::service::service_fn(move |request| {
                    respond(registry.clone(), on_answer.clone(), client, request)
                });
                let mut builder = hyper::server::conn::http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(HEAD);
                let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
                tokio::spawn(async move {
                    // A client that goes away, or doesn't speak HTTP, is no failure of ours.
                    let _ = connection.await;
                    drop(permit);
                });
            }
        }
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(FAREWELL) => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

type Accepted = (tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, connections: &Arc<Semaphore>) -> Option<Accepted> {
    let permit = connections.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, client)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, client, permit))
        }
        // Out of descriptors, say: others will end.
        Err(_) => {
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

fn clear(registry: &Arc<Registry>) {
    if registry.options.read_only {
        return;
    }
    let registry = registry.clone();
    // What can't be removed now is tried again.
    tokio::task::spawn_blocking(move || drop(registry.uploads.clear_stale()));
}

/// Answer a request on a thread that may block.
async fn respond(
    registry: Arc<Registry>,
    on_answer: OnAnswer,
    client: SocketAddr,
    request: Request<Incoming>,
) -> std::result::Result<Response<Outgoing>, Infallible> {
    let (head, incoming) = request.into_parts();
    let handle = Handle::current();
    let (method, request) = (head.method.clone(), format!("{} {}", head.method, head.uri));
    let work = move || {
        let mut body = BodyReader { handle, incoming, piece: Bytes::new(), patience: PATIENCE };
        let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
        let answer = registry.answer(&head.method, path, query, &head.headers, &mut body);
        // A client that is answered while it sends may not read the answer: let it say a little more, unless it waits to be
        // told to go on.
        if answer.is_err() && !head.headers.contains_key("expect") {
            body.patience = LINGERING;
            let _ = io::copy(&mut body.take(PIECE as u64), &mut io::sink());
        }
        answer
    };
    let answer = tokio::task::spawn_blocking(work).await;
    let answer = answer.unwrap_or_else(|_| Err(Problem::failed("the request could not be answered")));
    let problem = answer.as_ref().err().map(ToString::to_string);
    let reply = answer.unwrap_or_else(Problem::reply);
    let (status, length) = (reply.status.as_u16(), reply.body.length());
    on_answer(&Answered { client, request, status, length, problem });
    Ok(put_out(reply, method == Method::HEAD))
}

/// An answer as hyper sends it.
fn put_out(reply: Reply, is_head: bool) -> Response<Outgoing> {
    let length = reply.body.length();
    let body = match reply.body {
        _ if is_head => Outgoing::whole(Bytes::new()),
        Body::Bytes(bytes) => Outgoing::whole(bytes.into()),
        Body::Reader(reader, length) => Outgoing::streamed(reader, length),
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    for (name, value) in reply.headers {
        // What can't stand in a header comes from a manifest: it is left out.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
            headers.append(name, value);
        }
    }
    headers.insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if reply.status != hyper::StatusCode::NO_CONTENT {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    response
}

/// The body of a request, for code that blocks.
struct BodyReader {
    handle: Handle,
    incoming: Incoming,
    piece: Bytes,
    /// How long the next piece may take.
    patience: Duration,
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let frame = async { timeout(self.patience, self.incoming.frame()).await };
            match self.handle.block_on(frame) {
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(None) => return Ok(0),
                Ok(Some(Err(error))) => return Err(io::Error::other(error)),
                Ok(Some(Ok(frame))) => self.piece = frame.into_data().unwrap_or_default(),
            }
        }
        let count = buffer.len().min(self.piece.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

/// The body of an answer.
enum Outgoing {
    Whole(Option<Bytes>),
    /// Pieces as they come, and how many bytes are still to come.
    Streamed(mpsc::Receiver<io::Result<Bytes>>, u64),
}

impl Outgoing {
    fn whole(bytes: Bytes) -> Self {
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }

    /// Read on a thread of its own, as fast as the client takes it. A client that takes nothing for a while is given up.
    fn streamed(reader: Box<dyn Read + Send>, length: u64) -> Self {
        let (sender, receiver) = mpsc::channel(PIECES);
        let handle = Handle::current();
        tokio::task::spawn_blocking(move || {
            let mut reader = reader.take(length);
            loop {
                let mut piece = Vec::with_capacity(PIECE);
                let read = reader.by_ref().take(PIECE as u64).read_to_end(&mut piece);
                let (piece, is_end) = match read {
                    Ok(0) => break,
                    Ok(_) => (Ok(Bytes::from(piece)), false),
                    Err(error) => (Err(error), true),
                };
                let sent = handle.block_on(async { timeout(PATIENCE, sender.send(piece)).await });
                if is_end || !matches!(sent, Ok(Ok(()))) {
                    break;
                }
            }
        });
        Self::Streamed(receiver, length)
    }
}

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streamed(receiver, left) => receiver.poll_recv(context).map(|piece| match piece {
                Some(Ok(bytes)) => {
                    *left = left.saturating_sub(bytes.len() as u64);
                    Some(Ok(Frame::data(bytes)))
                }
                Some(Err(error)) => Some(Err(error)),
                // Fewer bytes than were announced: the client must not take it for the end.
                None if *left > 0 => Some(Err(io::ErrorKind::UnexpectedEof.into())),
                None => None,
            }),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Self::Streamed(_, left) => *left,
        })
    }
}
