//! ListResources: what there is.

use base64::prelude::BASE64_STANDARD;
use base64::write::EncoderStringWriter;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use rm_core::{Error, ErrorKind, Result};

use super::arguments::{Options, bad, credentials, only_in};
use super::{Answer, Rpc, Urn, Value, Version};
use crate::geni::component::Components;
use crate::geni::credentials::Certificate;
use crate::geni::rspec::{Kind, Rspec};
use crate::geni::sliver::{GeniSliver, Refusal};

impl Rpc {
    pub(super) async fn list_resources(
        &self,
        version: Version,
        peer: &Certificate,
        arguments: &[Value],
    ) -> Result<Answer, Refusal> {
        let brought = credentials(arguments.first())?;
        let options = Options::of(arguments.get(1))?;
        options.rspec_version()?;
        let available = options.flag("geni_available")?;
        let compressed = options.flag("geni_compressed")?;
        let slice: Option<Urn> = match options.text("geni_slice_urn")? {
            None => None,
            Some(slice) => {
                only_in(version, Version::V2, "geni_slice_urn")?;
                Some(slice.parse()?)
            }
        };
        if let Some(slice) = slice.as_ref().filter(|s| !s.is_slice()) {
            return Err(bad(format!("{slice} is no slice")).into());
        }
        if let Some(slice) = slice {
            return self.list_slice(peer, brought, options, &slice).await;
        }
        let open = match version {
            Version::V2 => self.aggregate.open_v2,
            Version::V3 => self.aggregate.open_v3,
        };
        let user = self.admit(peer, brought, options, open).await?;
        let caller = Self::caller(&user)?;
        let call = self.host.call(&caller);
        let means = self.aggregate.means();
        let all = Components::read(&self.host, &self.aggregate.urn, means).await?;
        let mut there = Rspec::new(Kind::Advertisement);
        let now = self.host.env().now();
        there.generated = Some(now.to_string().into());
        for adapter in self.host.adapters().all::<dyn GeniSliver>() {
            adapter
                .advertise(&call, &all, available, &mut there)
                .await?;
        }
        Ok(document(&there, compressed)?.into())
    }
}

/// A document as its text, or compressed: base64 of RFC 1950.
pub(super) fn document(rspec: &Rspec, compressed: bool) -> Result<Value> {
    if !compressed {
        return Ok(Value::Text(rspec.print()));
    }
    // The plain text of it is never there as a whole.
    let text = EncoderStringWriter::new(&BASE64_STANDARD);
    let mut packed = ZlibEncoder::new(text, Compression::default());
    let packed = rspec.write_to(&mut packed).and_then(|()| packed.finish());
    let packed = packed.map_err(|e| {
        Error::new(ErrorKind::Internal, "the answer cannot be compressed").because(e)
    })?;
    Ok(Value::Text(packed.into_inner()))
}
