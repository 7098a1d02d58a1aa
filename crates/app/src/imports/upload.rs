//! A file that was sent: kept while it is imported.

use std::path::{Path, PathBuf};

use kernel::{Error, Result};

use crate::sheets::hex;
use crate::{Ctx, chance};

/// The longest name of a file that is sent.
const NAME_LENGTH_MAX: usize = 100;

/// A file that was sent; it is gone when this is.
#[derive(Debug)]
pub struct Upload {
    folder: PathBuf,
    path: PathBuf,
}

impl Upload {
    /// Keeps bytes under a name, by which messages and the catalogue know them.
    ///
    /// # Errors
    /// Where the name is none that a file may have, or the file cannot be written.
    pub fn keep(ctx: &Ctx<'_>, name: &str, bytes: &[u8]) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = (1..=NAME_LENGTH_MAX).contains(&name.len());
        if !fits || name.starts_with('.') || !name.bytes().all(plain) {
            let reason = format!(
                "must have 1 to {NAME_LENGTH_MAX} letters, digits, '.', '_' and '-', and no '.' first"
            );
            return Err(Error::invalid("name", reason));
        }
        let folder = ctx.installation.uploads().join(hex(&chance::bytes::<8>()?));
        let upload = Self { path: folder.join(name), folder };
        std::fs::create_dir_all(&upload.folder).map_err(Error::file(&upload.folder))?;
        std::fs::write(&upload.path, bytes).map_err(Error::file(&upload.path))?;
        Ok(upload)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // What cannot be removed is in nobody's way.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
