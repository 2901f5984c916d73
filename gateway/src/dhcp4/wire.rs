//! Messages of DHCP from the wire.

use dhcproto::v4::Message;
use dhcproto::{Decodable, Decoder};

/// Where the length of the hardware address stands, and how long its field is (RFC 2131,
/// section 2).
const HLEN_AT: usize = 2;
const CHADDR_LEN: u8 = 16;

/// A message. `None`: it is none, or says that its hardware address is longer than the field; the
/// library takes that as it is, and reads past the end when it is asked for the address.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Message> {
    let fits = bytes.get(HLEN_AT).is_some_and(|len| *len <= CHADDR_LEN);
    fits.then(|| Message::decode(&mut Decoder::new(bytes)).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhcproto::Encodable;

    #[test]
    fn a_hardware_address_longer_than_its_field_is_no_message() {
        let mut message = Message::default();
        message.set_chaddr(&[7; 16]);
        let mut bytes = message.to_vec().unwrap();
        assert_eq!(decode(&bytes).unwrap().chaddr(), [7; 16]);
        for len in 17..=255 {
            bytes[HLEN_AT] = len;
            assert!(decode(&bytes).is_none(), "{len}");
        }
        assert!(decode(&[]).is_none() && decode(&[1, 1]).is_none());
    }
}
