//! The thread that a device has to itself. Others send it jobs; polling a device blocks, and
//! so does building one again when it was lost.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use assay_tensor::{program::CheckedProgram, types::Tensor};

use super::{
    adapter::AdapterInfo,
    engine::{Engine, Failure},
    faults::Faults,
    plan::Plan,
    resident::Resident,
    self_test,
};
use crate::ExecutorError;

/// How often work is tried, each time on a device built anew, before its loss is an error.
const ATTEMPTS: u32 = 3;

/// A model's name on its device's thread.
pub type ModelId = u64;

/// Where the answer to a job goes.
pub type Reply<T> = Sender<Result<T, ExecutorError>>;

/// What a device's thread does.
#[expect(missing_docs, reason = "named as in the executor")]
pub enum Job {
    Prepare {
        program: Arc<CheckedProgram>,
        parameters: Arc<Vec<Tensor>>,
        reply: Reply<ModelId>,
    },
    Run {
        model: ModelId,
        /// The inputs of `count` requests, one after the other.
        requests: Vec<u8>,
        count: usize,
        reply: Reply<Vec<Vec<u8>>>,
    },
    Release(ModelId),
}

/// The thread of a device. Dropping it waits until the thread has let go of the device: drivers
/// do not bear that while the process ends.
#[derive(Debug)]
pub(super) struct Worker {
    name: String,
    jobs: Option<Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread of device `info`; it is there once the device is open and has passed
    /// its self-test.
    pub fn start(info: AdapterInfo, faults: Faults) -> Result<Self, ExecutorError> {
        let (jobs, inbox) = mpsc::channel();
        let (ready, opened) = mpsc::channel();
        let name = info.to_string();
        let failed = |detail: String| ExecutorError::Device {
            adapter: name.clone(),
            detail,
        };
        let thread = thread::Builder::new()
            .name(format!("gpu {name}"))
            .spawn(move || {
                let mut state = State {
                    info,
                    faults,
                    engine: None,
                    models: HashMap::new(),
                    next: 0,
                };
                let open = state
                    .engine()
                    .map_err(|error| error.into_error(&state.info));
                let failed = open.is_err();
                if ready.send(open).is_err() || failed {
                    return;
                }
                state.work(&inbox);
            })
            .map_err(|error| failed(error.to_string()))?;
        let ended = |_| failed("its thread ended".into());
        opened.recv().map_err(ended).flatten()?;
        Ok(Self {
            name,
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Sends a job and waits for the answer.
    pub fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, ExecutorError> {
        let (reply, answer) = mpsc::channel();
        self.tell(job(reply));
        answer.recv().map_err(|_| ExecutorError::Device {
            adapter: self.name.clone(),
            detail: "its thread ended".into(),
        })?
    }

    /// Sends a job that has no answer. If the thread has ended nothing is left to do.
    pub fn tell(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(adapter = %self.name, "the device's thread panicked");
        }
    }
}

/// A prepared program, and what it has on the device as that is now.
struct Model {
    program: Arc<CheckedProgram>,
    parameters: Arc<Vec<Tensor>>,
    resident: Option<(Plan, Resident)>,
}

/// Why there is no device.
enum Opening {
    /// It was lost while being tested.
    Lost(String),
    Refused(ExecutorError),
}

impl Opening {
    fn into_error(self, info: &AdapterInfo) -> ExecutorError {
        match self {
            Opening::Refused(error) => error,
            Opening::Lost(detail) => ExecutorError::DeviceLost {
                adapter: info.to_string(),
                attempts: 1,
                detail,
            },
        }
    }
}

struct State {
    info: AdapterInfo,
    faults: Faults,
    engine: Option<Engine>,
    models: HashMap<ModelId, Model>,
    next: ModelId,
}

impl State {
    fn work(&mut self, inbox: &Receiver<Job>) {
        // Whoever asked may have gone; then the answer is for nobody.
        while let Ok(job) = inbox.recv() {
            match job {
                Job::Prepare {
                    program,
                    parameters,
                    reply,
                } => {
                    let _ = reply.send(self.prepare(program, parameters));
                }
                Job::Run {
                    model,
                    requests,
                    count,
                    reply,
                } => {
                    let _ = reply.send(self.run(model, &requests, count));
                }
                Job::Release(model) => {
                    self.models.remove(&model);
                }
            }
        }
    }

    /// Opens the device and tests it, if there is none.
    fn engine(&mut self) -> Result<(), Opening> {
        if self.engine.is_none() {
            let engine = Engine::open(&self.info, self.faults.clone()).map_err(Opening::Refused)?;
            self_test::run(&engine, &self.faults).map_err(|failure| match failure {
                Failure::Lost(detail) => Opening::Lost(detail),
                Failure::Refused(detail) => Opening::Refused(ExecutorError::SelfTest {
                    adapter: self.info.to_string(),
                    detail,
                }),
            })?;
            self.engine = Some(engine);
        }
        Ok(())
    }

    fn prepare(
        &mut self,
        program: Arc<CheckedProgram>,
        parameters: Arc<Vec<Tensor>>,
    ) -> Result<ModelId, ExecutorError> {
        let id = self.next;
        self.next += 1;
        let model = Model {
            program,
            parameters,
            resident: None,
        };
        self.models.insert(id, model);
        let uploaded = self.retry(id, |_, _, _, _| Ok(()));
        if uploaded.is_err() {
            self.models.remove(&id);
        }
        uploaded.map(|()| id)
    }

    fn run(
        &mut self,
        id: ModelId,
        requests: &[u8],
        count: usize,
    ) -> Result<Vec<Vec<u8>>, ExecutorError> {
        let size = requests.len() / count.max(1);
        let mut answers = Vec::with_capacity(count);
        while answers.len() < count {
            let done = answers.len();
            answers.extend(self.retry(id, |engine, program, plan, resident| {
                let some = (count - done).min(plan.requests as usize);
                let bytes = &requests[done * size..(done + some) * size];
                engine.run(program, plan, resident, bytes, some as u32)
            })?);
        }
        Ok(answers)
    }

    /// Does `work` with a model that is on the device; again, on a device built anew, when the
    /// device was lost.
    fn retry<T>(
        &mut self,
        id: ModelId,
        work: impl Fn(&Engine, &CheckedProgram, &Plan, &mut Resident) -> Result<T, Failure>,
    ) -> Result<T, ExecutorError> {
        let adapter = self.info.to_string();
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            match self.engine() {
                Ok(()) => {}
                Err(Opening::Lost(detail)) => {
                    last = detail;
                    continue;
                }
                Err(refused) => return Err(refused.into_error(&self.info)),
            }
            let (Some(engine), Some(model)) = (&self.engine, self.models.get_mut(&id)) else {
                break;
            };
            let attempt = model.load(engine).and_then(|loaded| match loaded {
                Err(reason) => Ok(Err(reason)),
                Ok((program, plan, resident)) => work(engine, program, plan, resident).map(Ok),
            });
            match attempt {
                Ok(done) => {
                    return done.map_err(|reason| ExecutorError::Unsupported { adapter, reason });
                }
                Err(Failure::Refused(detail)) => {
                    // What wgpu refused stays noted, and buffers may be missing: start afresh.
                    self.forget();
                    return Err(ExecutorError::Device { adapter, detail });
                }
                Err(Failure::Lost(detail)) => {
                    tracing::warn!(%adapter, %detail, "device lost, building it anew");
                    self.forget();
                    last = detail;
                }
            }
        }
        Err(ExecutorError::DeviceLost {
            adapter,
            attempts: ATTEMPTS,
            detail: last,
        })
    }

    /// Lets go of the device and of all that was on it.
    fn forget(&mut self) {
        self.engine = None;
        for model in self.models.values_mut() {
            model.resident = None;
        }
    }
}

type Loaded<'a> = (&'a CheckedProgram, &'a Plan, &'a mut Resident);

impl Model {
    /// The model as it is on the device, put there if it is not; or why the device cannot
    /// run it.
    fn load(&mut self, engine: &Engine) -> Result<Result<Loaded<'_>, String>, Failure> {
        let loaded = match self.resident.take() {
            Some(loaded) => loaded,
            None => match Plan::new(&self.program, &engine.limits) {
                Ok(plan) => {
                    let resident = engine.upload(&plan, &self.parameters)?;
                    (plan, resident)
                }
                Err(reason) => return Ok(Err(reason)),
            },
        };
        let (plan, resident) = self.resident.insert(loaded);
        Ok(Ok((&self.program, plan, resident)))
    }
}
