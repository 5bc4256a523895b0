//! Where product images are kept, and how often they are looked at.

use std::{path::PathBuf, time::Duration};

use reqwest::Url;
use secrecy::SecretString;

use super::lookup::Reader;

const STORE: &str = "TDS_IMAGE_STORE";
const ACCEPTED: &str = "off, file:///srv/images or s3://bucket/path";

/// Where product images are kept, and how often they are looked at.
#[derive(Clone, Debug, Default)]
pub struct ImagesConfig {
    /// `TDS_IMAGE_STORE`; `None` is `off`, the default.
    pub store: Option<ImageStoreConfig>,
    /// `TDS_IMAGES_EVERY`, default `1h`; `None` is `off`.
    pub every: Option<Duration>,
}

/// The place of the images.
#[derive(Clone, Debug)]
pub struct ImageStoreConfig {
    /// The URL below which the files are, with a slash at its end.
    pub base: String,
    /// The kind of the place.
    pub place: ImagePlace,
}

/// The kinds of places for images.
#[derive(Clone, Debug)]
pub enum ImagePlace {
    /// `file:///…`: a folder of this machine.
    Folder(PathBuf),
    /// `s3://…`: a bucket of Amazon S3, or of another service with its API.
    Bucket(BucketConfig),
}

/// A bucket. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct BucketConfig {
    /// The name of the bucket.
    pub name: String,
    /// The path in the bucket, without slashes at its ends.
    pub path: String,
    /// `AWS_REGION` or `AWS_DEFAULT_REGION`, default `us-east-1`.
    pub region: String,
    /// `AWS_ENDPOINT_URL`: another service than Amazon's.
    pub endpoint: Option<String>,
    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. `None`: the role of the machine, as Amazon EC2 gives it.
    pub keys: Option<BucketKeys>,
}

/// The credentials of a bucket.
#[derive(Clone, Debug)]
pub struct BucketKeys {
    /// `AWS_ACCESS_KEY_ID`.
    pub id: SecretString,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret: SecretString,
    /// `AWS_SESSION_TOKEN`, for temporary credentials.
    pub session: Option<SecretString>,
}

impl ImagesConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let every = reader.duration_or_off("TDS_IMAGES_EVERY", Duration::from_secs(3_600));
        let store = match reader.text(STORE) {
            None => None,
            Some(text) if text == "off" => None,
            Some(text) => ImageStoreConfig::read(reader, &text),
        };
        Self { store, every }
    }
}

impl ImageStoreConfig {
    fn read(reader: &mut Reader<'_>, text: &str) -> Option<Self> {
        let url = Url::parse(text).ok();
        let is_plain = |url: &Url| {
            url.username().is_empty()
                && url.password().is_none()
                && url.port().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        };
        let read = url.filter(is_plain).and_then(|url| match url.scheme() {
            "file" => {
                let folder = url.to_file_path().ok().filter(|folder| folder.parent().is_some())?;
                let base = Url::from_directory_path(&folder).ok()?.to_string();
                Some(Self { base, place: ImagePlace::Folder(folder) })
            }
            "s3" => {
                let (name, path) = (url.host_str()?.to_owned(), url.path().trim_matches('/').to_owned());
                if !is_bucket_name(&name) || !path.split('/').all(is_path_segment) {
                    return None;
                }
                let base =
                    if path.is_empty() { format!("s3://{name}/") } else { format!("s3://{name}/{path}/") };
                Some(Self { base, place: ImagePlace::Bucket(BucketConfig::read(reader, name, path)) })
            }
            _ => None,
        });
        if read.is_none() {
            // A user or a password may be a secret.
            let found =
                if text.contains('@') { "a URL with a user".to_owned() } else { format!("\"{text}\"") };
            reader.error(STORE, found, ACCEPTED);
        }
        read
    }
}

impl BucketConfig {
    fn read(reader: &mut Reader<'_>, name: String, path: String) -> Self {
        let region = reader.text("AWS_REGION").or_else(|| reader.text("AWS_DEFAULT_REGION"));
        let endpoint =
            reader.parse("AWS_ENDPOINT_URL", None, "a URL such as https://s3.example.com", |text| {
                let url = Url::parse(text).ok()?;
                let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
                (is_http && url.username().is_empty() && url.password().is_none())
                    .then(|| Some(text.trim_end_matches('/').to_owned()))
            });
        let (id, secret) = (reader.secret("AWS_ACCESS_KEY_ID"), reader.secret("AWS_SECRET_ACCESS_KEY"));
        let session = reader.secret("AWS_SESSION_TOKEN");
        if id.is_some() != secret.is_some() {
            let missing = if id.is_some() { "AWS_SECRET_ACCESS_KEY" } else { "AWS_ACCESS_KEY_ID" };
            reader.error(missing, "nothing", "both or none of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
        }
        let keys = id.zip(secret).map(|(id, secret)| BucketKeys { id, secret, session });
        Self { name, path, region: region.unwrap_or_else(|| "us-east-1".to_owned()), endpoint, keys }
    }
}

/// Returns true for the names that Amazon S3 allows.
fn is_bucket_name(name: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    (3..=63).contains(&name.len()) && name.bytes().all(is_allowed)
}

/// Returns true for a part of a path that is the same in a URL and in a bucket.
fn is_path_segment(segment: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !matches!(segment, "." | "..") && segment.bytes().all(is_allowed)
}
