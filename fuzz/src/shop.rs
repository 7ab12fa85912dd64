//! An appliance in this process, on a world of its own: two cameras of one account, a user of each kind, a file to steal.
//!
//! An input names what it cannot know by `{NAME}`: keys, passwords, buckets. It is used for some inputs and then made
//! anew, so that it neither grows without end nor comes to a state in which everything is refused.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use kandian::config::{Config, Written, parse};
use kandian::domain::{AccessKey, AtTheEnd, GigabyteSize, Gigabytes, Role, Secret};
use kandian::engine::{Caller, Courier, Delivery, Engine, NewAccount, NewSubAccount, NewUser, Notice, PublicUrls};
use kandian::portal::{Addresses, Settings};
use kandian::soap::SoapSettings;
use kandian::wire::sig::{Content, ToSign, sign_v4};
use kandian::world::fake::world;
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// Inputs between two worlds.
const INPUTS: u32 = 500;
/// The host that requests are signed for.
pub const HOST: &str = "s3.test:9000";
/// Of the account `gd`.
pub const PASSWORD: &str = "the-password-of-the-province";
/// What is in the file that is to be left alone.
const PRECIOUS: &[u8] = b"nobody but its camera may touch it";

/// A key pair and its buckets.
pub struct Camera {
    /// S3AK, S3SK.
    pub key: (AccessKey, Secret),
    /// The bucket of recordings.
    pub record: String,
    /// The bucket of pictures.
    pub picture: String,
}

/// The appliance, and who uses it.
pub struct Shop {
    /// The use cases.
    pub engine: Engine,
    /// The data plane.
    pub s3: Router,
    /// The control plane.
    pub soap: Router,
    /// The pages.
    pub portal: Router,
    /// The camera that the inputs have the key of.
    pub camera: Camera,
    /// The camera that has a file of its own.
    pub other: Camera,
    /// The key of the account's own buckets.
    pub admin: (AccessKey, Secret),
    /// Sessions of operations staff and of the province: token and form token. Only where they were asked for: a
    /// password costs more to make than a hundred requests.
    pub sessions: [(String, String); 2],
    config: Config,
}

/// An answer, read to its end.
pub struct Answer {
    /// Status and headers.
    pub head: http::response::Parts,
    /// `None` where it was cut off.
    pub body: Option<Vec<u8>>,
}

/// A platform that cannot be reached.
struct Nobody;

impl Courier for Nobody {
    fn deliver(&self, _: Notice) -> Pin<Box<dyn Future<Output = Delivery> + Send>> {
        Box::pin(async { Delivery::Failed("nobody is there".to_owned()) })
    }
}

/// Does something in a shop that the last inputs were in too; `users`: one in which somebody is signed in.
pub fn inside<T>(users: bool, act: impl AsyncFnOnce(&Shop) -> T) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    static SHOP: Mutex<Option<(u32, Shop)>> = Mutex::new(None);
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().expect("a runtime")
    });
    // A shop in which something panicked is not put back.
    let last = SHOP.lock().unwrap_or_else(PoisonError::into_inner).take();
    runtime.block_on(async {
        let (used, shop) = match last {
            Some((used, shop)) if used < INPUTS && users != shop.sessions[0].0.is_empty() => (used, shop),
            Some((_, old)) => {
                old.close().await;
                (0, Shop::open(users).await)
            }
            None => (0, Shop::open(users).await),
        };
        let done = act(&shop).await;
        *SHOP.lock().unwrap_or_else(PoisonError::into_inner) = Some((used + 1, shop));
        done
    })
}

impl Shop {
    async fn open(users: bool) -> Self {
        let (world, ..) = world(7);
        // One GB is 1 MiB.
        let sets =
            ["space.bytes_per_gb=1048576", "s3.allow_delete=true", "s3.domain=s3.test", "storage.volume_size=8MiB"];
        let sets = sets.iter().map(|set| (*set).to_owned()).collect();
        let config = parse(&Written { file: None, data: Some("/data".into()), sets }).expect("right");
        let urls = PublicUrls { s3: format!("http://{HOST}"), soap: "http://soap.test:9001".to_owned() };
        let engine = Engine::open(world, &config, urls, Arc::new(Nobody)).expect("a new store");
        let by = Caller::operator();
        let gigabytes = |number| Gigabytes::new(number).expect("not zero");
        let new = NewAccount {
            name: "gd".parse().expect("a name"),
            password: Some(Secret::new(PASSWORD)),
            space: gigabytes(20),
            alert_url: None,
            max_sub_accounts: None,
        };
        engine.open_account(&by, new).await.expect("an account");
        let admin = engine.account_key(&by, &"gd".parse().expect("a name")).await.expect("its key");
        let camera = Camera::open(&engine).await;
        let other = Camera::open(&engine).await;
        let sessions = if users { sign_in(&engine).await } else { Default::default() };
        let settings = Settings {
            addresses: Arc::new(|| Addresses { s3: "http://s3.test".into(), soap: "http://soap.test".into() }),
            zone_minutes: 480,
            gigabyte: GigabyteSize::STANDARD,
        };
        let soap = Arc::new(SoapSettings { public_url: None, zone_minutes: 480 });
        let shop = Self {
            s3: kandian::s3::router(engine.clone(), Arc::new(config.s3.clone())),
            soap: kandian::soap::router(engine.clone(), soap),
            portal: kandian::portal::router(engine.clone(), settings),
            engine,
            camera,
            other,
            admin,
            sessions,
            config,
        };
        for (camera, name, body) in [(&shop.other, "precious", PRECIOUS), (&shop.camera, "k", b"hello")] {
            let put = shop.signed(&camera.key, "PUT", &format!("/{}/{name}", camera.record), body);
            assert_eq!(shop.ask(&shop.s3, put).await.head.status, 200);
        }
        shop
    }

    /// Nobody has touched what is another camera's, and what is counted is what is listed.
    async fn close(self) {
        let path = format!("/{}/precious", self.other.record);
        let got = self.ask(&self.s3, self.signed(&self.other.key, "GET", &path, b"")).await;
        assert_eq!(got.body.as_deref(), Some(PRECIOUS), "{}", got.head.status);
        let view =
            self.engine.sub_account_view(&Caller::operator(), self.other.key.0.as_str()).await.expect("it is open");
        assert_eq!((view.recordings, view.pictures, view.used_bytes), (1, 0, PRECIOUS.len() as u64));
        assert_eq!(self.config.storage.data_dir, std::path::Path::new("/data"));
        self.engine.close().await.expect("closed");
    }

    /// Asks a plane.
    pub async fn ask(&self, plane: &Router, request: Request<Body>) -> Answer {
        let response: Response<Body> = plane.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let (head, body) = response.into_parts();
        let body = body.collect().await.ok().map(|body| body.to_bytes().to_vec());
        Answer { head, body }
    }

    /// A request that a key signs, V4.
    fn signed(&self, key: &(AccessKey, Secret), method: &str, path: &str, body: &[u8]) -> Request<Body> {
        let sign = ToSign {
            method,
            host: HOST,
            path,
            query: "",
            headers: &[],
            access_key: &key.0,
            secret: &key.1,
            region: "kandian",
            now: self.engine.now(),
        };
        let mut request = Request::builder().method(method).uri(path).header("host", HOST);
        request = request.header("content-length", body.len());
        for (name, value) in sign_v4(&sign, Content::Unsigned) {
            request = request.header(name, value);
        }
        request.body(Body::from(body.to_vec())).expect("a request")
    }

    /// The input with what it cannot know put in.
    pub fn fill(&self, input: &[u8]) -> Vec<u8> {
        let names: [(&str, &str); 12] = [
            ("{AK}", self.camera.key.0.as_str()),
            ("{SK}", self.camera.key.1.expose()),
            ("{REC}", &self.camera.record),
            ("{PIC}", &self.camera.picture),
            ("{OTHER-AK}", self.other.key.0.as_str()),
            ("{OTHER}", &self.other.record),
            ("{ADMIN}", self.admin.0.as_str()),
            ("{PASSWORD}", PASSWORD),
            ("{TOKEN}", &self.sessions[0].1),
            ("{PROVINCE-TOKEN}", &self.sessions[1].1),
            ("{HOST}", HOST),
            ("{RUN}", &"a".repeat(1100)),
        ];
        let (mut out, mut rest) = (Vec::with_capacity(input.len()), input);
        while let Some((first, after)) = rest.split_first() {
            if let Some((name, value)) = names.iter().find(|(name, _)| rest.starts_with(name.as_bytes())) {
                out.extend_from_slice(value.as_bytes());
                rest = &rest[name.len()..];
            } else {
                out.push(*first);
                rest = after;
            }
        }
        out
    }
}

/// A user of operations staff and one of the province, each with a session.
async fn sign_in(engine: &Engine) -> [(String, String); 2] {
    let mut sessions = <[(String, String); 2]>::default();
    let users = [("ops", Role::Operations, None), ("prov", Role::Province, Some("gd"))];
    for ((name, role, account), session) in users.into_iter().zip(&mut sessions) {
        let account = account.map(|name| name.parse().expect("a name"));
        let password = Secret::new("correct horse battery");
        let new = NewUser { name: name.parse().expect("a name"), role, account, password: Some(password.clone()) };
        engine.add_user(&Caller::operator(), new).await.expect("a user");
        let token = engine.sign_in_user(name, &password, None, "10.0.0.1", "").await.expect("signed in");
        let signed = engine.session(token.expose()).await.expect("a session");
        *session = (token.expose().to_owned(), signed.form_token);
    }
    sessions
}

impl Camera {
    async fn open(engine: &Engine) -> Self {
        let new = NewSubAccount {
            account: Some("gd".parse().expect("a name")),
            space: Gigabytes::new(4).expect("not zero"),
            at_the_end: AtTheEnd::Overwrite,
            name: "门口".to_owned(),
            place: String::new(),
        };
        let opened = engine.add_sub_account(&Caller::operator(), new).await.expect("a sub-account");
        Self {
            key: (opened.access_key, opened.secret),
            record: opened.record_bucket.to_string(),
            picture: opened.picture_bucket.to_string(),
        }
    }
}
