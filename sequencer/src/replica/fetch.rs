//! Fetching models in the background: nothing waits for somebody who gives nothing, or gives it slowly.
//!
//! Each source of each model is asked by itself, after a failure again with a pause that grows. At first one source
//! is asked; the next one when it has failed, or has not given all after a while. What comes is checked, and kept
//! where the executor finds it.

use super::mirrors::Mirrors;
use crate::engine::execute::ModelKey;
use crate::store::blobs::{BlobError, Blobs};
use crate::store::leaves::most_bytes;
use assay_client::api::Hash32;
use assay_client::http::Api;
use assay_ledger::{Hash, ProgramHeader};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, block_in_place};

/// How long one source is asked before the next one is too.
const ALONE: Duration = Duration::from_secs(10);
/// The pause after a source's first failure; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// The most bytes of a program of which nothing but its root is known.
const PROGRAM_BYTES: u64 = 64 << 20;

/// A model that is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// Its program's and its parameters' roots.
    pub model: ModelKey,
    /// Why not, once somebody was asked.
    pub why: Option<String>,
    /// Whether its program is known to be malformed: there is nothing to fetch then.
    pub malformed: bool,
}

/// Fetches models, as long as it is not dropped.
#[derive(Debug)]
pub struct Fetcher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    mirrors: Mirrors,
    blobs: Blobs,
    /// How long one source is asked before the next one is too.
    alone: Duration,
    /// The most bytes of parameters that are fetched: a program, which a stranger wrote, may ask for any number.
    most: u64,
    wanted: Mutex<BTreeMap<ModelKey, Wanted>>,
    /// Counts what has come, or was found not to come.
    news: watch::Sender<u64>,
}

#[derive(Debug)]
struct Wanted {
    task: AbortHandle,
    why: Option<String>,
}

impl Fetcher {
    /// Fetches from `mirrors` into `blobs`, no parameters of more than `most` bytes.
    pub fn new(mirrors: Mirrors, blobs: Blobs, most: u64) -> Self {
        Self::with(mirrors, blobs, ALONE, most)
    }

    fn with(mirrors: Mirrors, blobs: Blobs, alone: Duration, most: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                mirrors,
                blobs,
                alone,
                most,
                wanted: Mutex::default(),
                news: watch::Sender::new(0),
            }),
        }
    }

    /// Fetches a model, unless it is here or asked for already. `header` is its program's, where that is known.
    /// To be called in a runtime.
    pub fn want(&self, model: ModelKey, header: Option<ProgramHeader>) {
        let mut wanted = self.shared.wanted();
        if self.shared.is_here(&model) || wanted.contains_key(&model) {
            return;
        }
        let shared = self.shared.clone();
        let task = tokio::spawn(async move { shared.fetch(model, header).await });
        let task = task.abort_handle();
        wanted.insert(model, Wanted { task, why: None });
    }

    /// Fetches no other models than these any more.
    pub fn retain(&self, named: impl Fn(&ModelKey) -> bool) {
        let mut wanted = self.shared.wanted();
        wanted.retain(|model, want| {
            let keep = named(model);
            if !keep {
                want.task.abort();
            }
            keep
        });
    }

    /// What was asked for and is not here.
    pub fn lacking(&self) -> Vec<Lacking> {
        let mut wanted = self.shared.wanted();
        // Something may have come in another way.
        wanted.retain(|model, want| {
            let lacks = !self.shared.is_here(model);
            if !lacks {
                want.task.abort();
            }
            lacks
        });
        let lacking = wanted.iter().map(|(model, want)| Lacking {
            model: *model,
            why: want.why.clone(),
            malformed: self.shared.blobs.malformed(&model.0).is_some(),
        });
        lacking.collect()
    }

    /// Changes when a model has come, or a source has failed.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.shared.news.subscribe()
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.retain(|_| false);
    }
}

impl Shared {
    fn wanted(&self) -> MutexGuard<'_, BTreeMap<ModelKey, Wanted>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_here(&self, model: &ModelKey) -> bool {
        self.blobs.has(&model.0) && self.blobs.has(&model.1)
    }

    fn failed(&self, model: &ModelKey, why: String) {
        tracing::warn!(program = hex::encode(model.0), why, "a model is not given");
        if let Some(wanted) = self.wanted().get_mut(model) {
            wanted.why = Some(why);
        }
        self.news.send_modify(|n| *n += 1);
    }

    /// Asks until the model is here, or its program is known to be none.
    async fn fetch(&self, model: ModelKey, header: Option<ProgramHeader>) {
        let (program, parameters) = model;
        if !self.blobs.has(&program) {
            let most = header.as_ref().map_or(PROGRAM_BYTES, most_bytes);
            let take = |bytes: &[u8]| self.blobs.take_program(&program, bytes);
            self.blob(&model, &program, most, take).await;
        }
        match self.blobs.program(&program) {
            Ok(known) if known.parameter_bytes() > self.most => {
                let (need, most) = (known.parameter_bytes(), self.most);
                let why =
                    format!("its parameters are {need} bytes, of which {most} are taken at most");
                self.failed(&model, why);
            }
            Ok(known) => {
                let take = |bytes: &[u8]| self.blobs.take_parameters(&known, &parameters, bytes);
                let most = known.parameter_bytes();
                self.blob(&model, &parameters, most, take).await;
            }
            Err(_) if self.blobs.malformed(&program).is_some() => {
                self.failed(&model, "its program is malformed".into());
            }
            Err(error) => self.failed(&model, error.to_string()),
        }
        self.news.send_modify(|n| *n += 1);
    }

    /// Asks for a blob of at most `most` bytes until `take` takes what comes.
    async fn blob(
        &self,
        model: &ModelKey,
        root: &Hash,
        most: u64,
        take: impl Fn(&[u8]) -> Result<(), BlobError>,
    ) {
        if self.blobs.has(root) {
            return;
        }
        let asked = watch::Sender::new(1);
        let sources = self.mirrors.apis().iter().enumerate();
        let mut asking: FuturesUnordered<_> = sources
            .map(|(i, api)| self.ask(model, root, most, &take, i, api, &asked))
            .collect();
        if asking.is_empty() {
            self.failed(model, "no source is named: set --api or --blobs".into());
            std::future::pending::<()>().await;
        }
        loop {
            tokio::select! {
                _ = asking.next() => return,
                () = tokio::time::sleep(self.alone) => asked.send_modify(|n| *n += 1),
            }
        }
    }

    /// Asks source number `place` once so many are `asked`, until it gives the blob.
    #[expect(clippy::too_many_arguments, reason = "all of a blob's, and one source")]
    async fn ask(
        &self,
        model: &ModelKey,
        root: &Hash,
        most: u64,
        take: &impl Fn(&[u8]) -> Result<(), BlobError>,
        place: usize,
        api: &Api,
        asked: &watch::Sender<usize>,
    ) {
        // The sender outlives this.
        let _ = asked.subscribe().wait_for(|n| *n > place).await;
        let mut pause = FIRST_PAUSE;
        loop {
            let why = match api.blob_within(Hash32(*root), most).await {
                Ok(bytes) => match block_in_place(|| take(&bytes)) {
                    Ok(()) => {
                        tracing::info!(blob = hex::encode(root), from = api.url(), "blob fetched");
                        return;
                    }
                    Err(e) => e.to_string(),
                },
                Err(e) => e.to_string(),
            };
            self.failed(model, format!("{}: {why}", api.url()));
            asked.send_modify(|n| *n = (*n).max(place + 2));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::digits::Digits;
    use assay_tensor::commit::parameters_root;
    use assay_tensor::program::to_blob;
    use axum::Router;
    use axum::body::{Body, Bytes};
    use axum::extract::Path;
    use axum::http::StatusCode;
    use axum::response::IntoResponse;
    use std::sync::atomic::{AtomicU64, Ordering};

    type Served = BTreeMap<String, Vec<u8>>;

    async fn serve(router: Router) -> String {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    /// A source of these blobs; how often it was asked.
    async fn source(blobs: Served) -> (String, Arc<AtomicU64>) {
        let asked = Arc::new(AtomicU64::new(0));
        let counted = asked.clone();
        let get = move |Path(root): Path<String>| async move {
            counted.fetch_add(1, Ordering::SeqCst);
            match blobs.get(&root) {
                Some(bytes) => bytes.clone().into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            }
        };
        let router = Router::new().route("/v1/blobs/{root}", axum::routing::get(get));
        (serve(router).await, asked)
    }

    /// A source that sends a byte now and then and never ends.
    async fn dripping() -> String {
        let get = || async {
            let drops = futures::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(b"A")), ()))
            });
            Body::from_stream(drops)
        };
        serve(Router::new().fallback(axum::routing::get(get))).await
    }

    fn digits() -> (ModelKey, ProgramHeader, Served) {
        let (program, parameters) = Digits::load(Some(1)).unwrap().bundle.open().unwrap();
        let model = (program.root(), parameters_root(&parameters));
        let blobs = [
            (hex::encode(model.0), program.program().encode()),
            (hex::encode(model.1), to_blob(&parameters)),
        ];
        (model, program.header(), blobs.into())
    }

    fn fetcher(urls: &[String]) -> (Fetcher, Blobs, tempfile::TempDir) {
        fetcher_within(urls, u64::MAX)
    }

    fn fetcher_within(urls: &[String], most: u64) -> (Fetcher, Blobs, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let alone = Duration::from_millis(100);
        let fetcher = Fetcher::with(Mirrors::new(urls), blobs.clone(), alone, most);
        (fetcher, blobs, dir)
    }

    async fn until(fetcher: &Fetcher, what: impl Fn(&[Lacking]) -> bool) {
        let mut news = fetcher.news();
        let wait = async {
            while !what(&fetcher.lacking()) {
                news.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_has_nothing_or_drips_is_in_nobodys_way() {
        let (model, header, served) = digits();
        let (empty, asked) = source(Served::new()).await;
        let (good, _) = source(served).await;
        let urls = [dripping().await, empty, good];
        let (fetcher, blobs, _dir) = fetcher(&urls);
        fetcher.want(model, Some(header));
        // It returned at once, and what is dripping is given up for nobody.
        assert_eq!(fetcher.lacking().len(), 1);
        until(&fetcher, <[_]>::is_empty).await;
        assert!(blobs.model(&model.0, &model.1).is_ok());
        // Once for each of the two blobs, and perhaps again while the next one was asked.
        assert!((2..=8).contains(&asked.load(Ordering::SeqCst)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_longer_is_taken_than_the_chain_says() {
        let (model, mut header, mut served) = digits();
        served.insert(hex::encode(model.0), vec![0; 4_096]);
        let (url, _) = source(served).await;
        let (fetcher, blobs, _dir) = fetcher(&[url]);
        // As if the program had no leaves.
        (header.inputs, header.parameters) = (0, 0);
        (header.operators, header.outputs) = (0, 0);
        assert!(most_bytes(&header) < 600);
        fetcher.want(model, Some(header));
        let too_long = |lacking: &[Lacking]| {
            let why = lacking[0].why.as_deref().unwrap_or_default();
            why.contains("more than")
        };
        until(&fetcher, too_long).await;
        assert!(!blobs.has(&model.0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn parameters_of_more_than_is_wanted_are_not_asked_for() {
        let (model, header, served) = digits();
        let (url, asked) = source(served).await;
        let (fetcher, blobs, _dir) = fetcher_within(&[url], 1_000);
        fetcher.want(model, Some(header));
        let too_many = |lacking: &[Lacking]| {
            let why = lacking[0].why.as_deref().unwrap_or_default();
            why.contains("1000 are taken at most")
        };
        until(&fetcher, too_many).await;
        assert!(blobs.has(&model.0) && !blobs.has(&model.1));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}
