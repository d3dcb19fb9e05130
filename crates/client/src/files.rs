//! Files that a user names: read with a bound, whatever they are.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Most bytes of a file of settings, a key pair, or values in JSON.
pub const MAX_TEXT: u64 = 16 << 20;

/// Why a file cannot be read or written. Each names the path.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system says why.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The system says why.
    #[error("cannot write {}: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It is longer than what it should hold may be.
    #[error("{} has more than {limit} bytes, which is the most that is read: name another file", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit: u64,
    },
    /// It is not text.
    #[error("{} is not text in UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
}

/// The bytes of a file, of which there may be `limit`. A pipe or a device is read like a file: no
/// more than the limit is ever read or kept.
///
/// # Errors
/// [`FileError::Read`] and [`FileError::TooLong`].
pub fn read(path: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>, FileError> {
    let path = path.as_ref();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|cause| FileError::Read {
            path: path.into(),
            cause,
        })?;
    if bytes.len() as u64 > limit {
        return Err(FileError::TooLong {
            path: path.into(),
            limit,
        });
    }
    Ok(bytes)
}

/// The text of a file, of at most [`MAX_TEXT`] bytes.
///
/// # Errors
/// Those of [`read`], and [`FileError::NotText`].
pub fn read_text(path: impl AsRef<Path>) -> Result<String, FileError> {
    let path = path.as_ref();
    let bytes = read(path, MAX_TEXT)?;
    String::from_utf8(bytes).map_err(|_| FileError::NotText { path: path.into() })
}

/// Writes a file.
///
/// # Errors
/// [`FileError::Write`].
pub fn write(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), FileError> {
    let path = path.as_ref();
    std::fs::write(path, bytes).map_err(|cause| FileError::Write {
        path: path.into(),
        cause,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_is_read_of_anything() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, [7; 100]).unwrap();
        assert_eq!(read(&path, 100).unwrap(), [7; 100]);
        let error = read(&path, 99).unwrap_err().to_string();
        assert!(error.contains("file has more than 99 bytes"), "{error}");

        // A sparse file of 8 GiB, and a device without an end.
        let file = File::create(dir.path().join("sparse")).unwrap();
        file.set_len(8 << 30).unwrap();
        for endless in [dir.path().join("sparse"), "/dev/zero".into()] {
            let error = read(endless, 1 << 16).unwrap_err();
            assert!(matches!(error, FileError::TooLong { .. }), "{error}");
        }
        let missing = read(dir.path().join("missing"), 9).unwrap_err().to_string();
        assert!(missing.contains("missing: No such file"), "{missing}");
        let error = write(dir.path().join("no/where"), &[]).unwrap_err();
        assert!(error.to_string().contains("no/where"), "{error}");
        std::fs::write(&path, [0xff; 3]).unwrap();
        assert!(matches!(read_text(&path), Err(FileError::NotText { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_read_like_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let writer = path.clone();
        let writing = std::thread::spawn(move || {
            // The reader may be gone before all is written.
            let _ = std::fs::write(writer, [5; 1 << 20]);
        });
        assert!(matches!(read(&path, 10), Err(FileError::TooLong { .. })));
        writing.join().unwrap();
    }
}
