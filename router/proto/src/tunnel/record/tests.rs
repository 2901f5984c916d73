use super::*;
use crate::relay::vectors::{array, bytes, load};
use serde_json::Value;

fn request() -> RequestRecord {
    RequestRecord {
        receive: TunnelId(1),
        next: RouterHash([2; 32]),
        next_id: TunnelId(3),
        role: Role::OutboundEndpoint,
        layer_type: 0,
        minutes: 4,
        life_secs: LIFE_SECS,
        next_message: MessageId(5),
        options: Mapping::new(),
    }
}

fn same_keys(keys: &RecordKeys, hop: &Value) {
    assert_eq!(keys.ad, array(&hop["ad"]));
    assert!(keys.reply.ct_eq(&array(&hop["reply_key"])));
    assert!(keys.layer.layer.ct_eq(&array(&hop["layer_key"])));
    assert!(keys.layer.iv.ct_eq(&array(&hop["iv_key"])));
    assert_eq!(keys.garlic.is_some(), hop.get("garlic_key").is_some());
    if let Some(garlic) = &keys.garlic {
        assert!(garlic.key.ct_eq(&array(&hop["garlic_key"])));
        assert_eq!(garlic.tag, array(&hop["garlic_tag"]));
    }
}

#[test]
fn recorded_requests_are_made_again() {
    for name in ["build-outbound-2", "build-inbound-2"] {
        let v = load(name);
        for hop in v["hops"].as_array().unwrap() {
            let plain = array(&hop["plain"]);
            let request = RequestRecord::parse(&plain).unwrap();
            assert_eq!(request.receive.0 as u64, hop["receive_tunnel"]);
            assert_eq!(request.next_id.0 as u64, hop["next_tunnel"]);
            assert_eq!(request.next.0, array(&hop["next_hash"]));
            assert_eq!(request.minutes as u64, hop["time_min"]);
            assert_eq!(request.next_message.0 as u64, hop["next_id"]);
            assert_eq!(flags_of(request.role) as u64, hop["flags"]);
            let again = request.to_plain(&mut Rng::from_number(1)).unwrap();
            assert_eq!(again[..58], plain[..58]);
            let sealed = seal_plain(
                &plain,
                request.role,
                &array(&hop["enc_pub"]),
                &RouterHash(array(&hop["hash"])),
                &PrivateKey::new(array(&hop["e_priv"])),
            )
            .unwrap();
            assert_eq!(sealed.record, array(&hop["record"]));
            same_keys(&sealed.keys, hop);
        }
    }
}

#[test]
fn recorded_replies_open_and_fillers_come_back() {
    for name in ["build-outbound-2", "build-inbound-2"] {
        let v = load(name);
        let body = bytes(&v["reply_body"]);
        let mut records: Vec<[u8; SHORT]> = body[1..]
            .chunks_exact(SHORT)
            .map(|c| c.try_into().unwrap())
            .collect();
        for (i, filler) in v["fillers"].as_object().unwrap() {
            assert_eq!(records[i.parse::<usize>().unwrap()], array(filler));
        }
        let hops = v["hops"].as_array().unwrap();
        for hop in hops.iter().rev() {
            let keys = seal_plain(
                &array(&hop["plain"]),
                role_of(hop["flags"].as_u64().unwrap() as u8).unwrap(),
                &array(&hop["enc_pub"]),
                &RouterHash(array(&hop["hash"])),
                &PrivateKey::new(array(&hop["e_priv"])),
            )
            .unwrap()
            .keys;
            let slot = hop["slot"].as_u64().unwrap() as usize;
            assert_eq!(keys.open_reply(slot, &records[slot]), Some(ACCEPT));
            assert_eq!(keys.open_reply(slot + 1, &records[slot]), None);
            for (i, record) in records.iter_mut().enumerate() {
                if i != slot {
                    keys.layer_record(i, record);
                }
            }
        }
    }
}

#[test]
fn both_ends_agree() {
    let mut rng = Rng::from_number(1);
    let (hop, ephemeral) = (PrivateKey::random(&mut rng), PrivateKey::random(&mut rng));
    let hash = RouterHash([7; 32]);
    let mut request = request();
    for role in [
        Role::Participant,
        Role::InboundGateway,
        Role::OutboundEndpoint,
    ] {
        request.role = role;
        request.options.set("m", "16");
        let sealed = seal(&request, hop.public(), &hash, &ephemeral, &mut rng).unwrap();
        assert_eq!(ephemeral_of(&sealed.record), Some(ephemeral.public()));
        let opened = open(&hop, &hash, &sealed.record).unwrap();
        assert_eq!(opened.request, request);
        let reply = opened.keys.seal_reply(3, &reply_plain(REJECT, &mut rng));
        assert_eq!(sealed.keys.open_reply(3, &reply), Some(REJECT));
        let mut bad = sealed.record;
        bad[100] ^= 1;
        assert!(open(&hop, &hash, &bad).is_none());
        assert!(open(&hop, &RouterHash([8; 32]), &sealed.record).is_none());
        assert!(open(&ephemeral, &hash, &sealed.record).is_none());
    }
}

#[test]
fn senseless_requests_are_refused() {
    let mut rng = Rng::from_number(1);
    let good = request().to_plain(&mut rng).unwrap();
    let field = |at: usize, value: &[u8]| {
        let mut plain = good;
        plain[at..at + value.len()].copy_from_slice(value);
        RequestRecord::parse(&plain).map_err(|e| e.field)
    };
    assert_eq!(field(0, &[0; 4]), Err("BuildRequest.receive_tunnel"));
    assert_eq!(field(40, &[0xc0]), Err("BuildRequest.flags"));
    assert!(field(4, &[0; 4]).is_ok(), "an endpoint may reply directly");
    let mut participant = request();
    participant.role = Role::Participant;
    participant.next_id = TunnelId(0);
    let plain = participant.to_plain(&mut rng).unwrap();
    assert!(RequestRecord::parse(&plain).is_err());
    assert_eq!(field(56, &[0xff, 0xff]).unwrap().options, Mapping::new());
}

#[test]
fn long_options_are_not_written() {
    let mut request = request();
    request.options.set("m", "1".repeat(100));
    assert!(request.to_plain(&mut Rng::from_number(1)).is_err());
}
