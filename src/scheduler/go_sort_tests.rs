//! The same comparisons in the same order as Go makes them, and the same order in the end. The digests are what Go's own `sort.Slice` said:
//! `go run tests/data/go_sort/main.go` prints them.

use super::*;

const LENGTHS: [usize; 9] = [12, 13, 25, 49, 50, 51, 100, 200, 777];

/// FNV-1a over numbers.
struct Digest(u64);

impl Digest {
    fn new() -> Digest {
        Digest(14_695_981_039_346_656_037)
    }
    fn add(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(1_099_511_628_211);
    }
}

fn keys(pattern: &str, length: usize) -> Vec<u64> {
    let mut random = length as u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let l = length as u64;
    let mut key = |n: u64| match pattern {
        "two" => next(2),
        "few" => next(7),
        "many" => next(1 << 30),
        "ascending" => n,
        "descending" => l - n,
        "steps" => n / 5,
        "pipe" => n.min(l - n),
        "saw" => n % 11,
        "last" => {
            if n + 1 == l {
                0
            } else {
                n
            }
        }
        _ => {
            let key = if next(20) == 0 { next(l * 2) } else { n * 2 };
            if pattern == "backwards" { l * 2 - key } else { key }
        }
    };
    (0..l).map(&mut key).collect()
}

#[rustfmt::skip]
const GO: [(&str, &str, [u64; 9]); 22] = [
    ("two", "less", [0xe5d6ff1c3546c4d1, 0x277aa239a0e7b4a4, 0x8337851c52507521, 0xc53e5695420a6c0e, 0x8e402dc2ecb0baee, 0xff43ac10db5bd30f, 0x14d474dba86a429a, 0xe281672900279c46, 0xe5d7311be2198f28]),
    ("two", "less or equal", [0x5e3121adbb419168, 0xf32bcaeca13fa5fb, 0x1a650e7be16a76a8, 0xd0ec8c995c117312, 0xf22e0ee099eaf653, 0xd5e2fd4ab10018b0, 0xd3c3db4ecc61c487, 0xc18709335f4017d7, 0x7330cf45b0446460]),
    ("few", "less", [0x555e71564987bf16, 0xf715f0dd7cde1dec, 0x5b13b27071e12e09, 0xb4d9179b9e989c0c, 0xfe62527f8e77b7f2, 0x3efc8042e700d240, 0x35d424a69b7a4d77, 0x21de69020a994d1b, 0xfa601315d45a8d15]),
    ("few", "less or equal", [0xae899f712b1b7bca, 0xc7191147d8ebfe35, 0xd3575d11a4170ddb, 0x532351411ac2a257, 0x9cd2e823501fa644, 0xeda28dc913f3ae85, 0x61fbbe53bf5aa1de, 0xe27ddf7b7620d85c, 0x353cc1368aacb331]),
    ("many", "less", [0x5ab12a395aa7fc33, 0x7209e6406aa0fe74, 0xdabf6b7781de1fb0, 0xde9b60f6dd78531f, 0x5ad247ed62a23fc8, 0xa27dd7d9ab2dba21, 0xe2e8f24e65f841c9, 0x1025121a5ca986ad, 0x1105ce71e30ad6c6]),
    ("many", "less or equal", [0x5ab12a395aa7fc33, 0x7209e6406aa0fe74, 0xdabf6b7781de1fb0, 0xde9b60f6dd78531f, 0x5ad247ed62a23fc8, 0xa27dd7d9ab2dba21, 0xe2e8f24e65f841c9, 0x1025121a5ca986ad, 0x1105ce71e30ad6c6]),
    ("ascending", "less", [0xf7902da949603c1c, 0x768a2f4278d75476, 0xef1e9444f4afb251, 0x0d3d25cb5c41da83, 0xefadea7aa8569326, 0x01662cafadbc14ab, 0x175d1988b9b4240c, 0x6437b2ac62de4e0f, 0xc7caa650de5ce5f2]),
    ("ascending", "less or equal", [0xf7902da949603c1c, 0x768a2f4278d75476, 0xef1e9444f4afb251, 0x0d3d25cb5c41da83, 0xefadea7aa8569326, 0x01662cafadbc14ab, 0x175d1988b9b4240c, 0x6437b2ac62de4e0f, 0xc7caa650de5ce5f2]),
    ("descending", "less", [0x55967fcc4c4d8001, 0x6a5e14225341c7d5, 0xaca9f8f324e19925, 0x4d46a0f8c5111500, 0x4c0ec4d4b8281af3, 0x2fe90b95618acdbc, 0x2dd8dcd8696e049e, 0xa8f43746ef9aed3a, 0x211ef1d1b9e76abf]),
    ("descending", "less or equal", [0x55967fcc4c4d8001, 0x6a5e14225341c7d5, 0xaca9f8f324e19925, 0x4d46a0f8c5111500, 0x4c0ec4d4b8281af3, 0x2fe90b95618acdbc, 0x2dd8dcd8696e049e, 0xa8f43746ef9aed3a, 0x211ef1d1b9e76abf]),
    ("steps", "less", [0xf7902da949603c1c, 0x768a2f4278d75476, 0xef1e9444f4afb251, 0x0d3d25cb5c41da83, 0xefadea7aa8569326, 0x01662cafadbc14ab, 0x175d1988b9b4240c, 0x6437b2ac62de4e0f, 0xc7caa650de5ce5f2]),
    ("steps", "less or equal", [0x050258a4ed3369f6, 0xc980c4eb5ac0fd45, 0xb9d002a7c3748fae, 0x5c9e3bb514ee69fe, 0xb037adac75fad570, 0xb03245a6bf87ca6c, 0x5b28e6d8f4025357, 0x35e2e69d37577fcf, 0xd34b5a4e18b61a68]),
    ("pipe", "less", [0xaa6e714ea189978e, 0x8cc83e182fec0924, 0xd1a48d9bc3523ede, 0xa820f202bf8158d9, 0x1e1bc7a49b9e7cfb, 0xd22fe3f23618040c, 0xc90509d56add21f3, 0x666a04360446bb0e, 0xa76218e054d1bb7d]),
    ("pipe", "less or equal", [0x7b696d690b5fdb21, 0x5edc6a0b559c16cf, 0x0cdef03625aa07ca, 0x296e0de057caa5ef, 0xb37addb2949d8e11, 0x85f70169d865761c, 0xab4f646ed40dbcd2, 0x34450c225534ad6b, 0x9969a9aa74fd4068]),
    ("saw", "less", [0x67dd9acaefb36e91, 0xd823696be6f98977, 0x21827d6955c1f52d, 0xba47e65862135f28, 0xa5e417a91a004227, 0x4d22a7d07c533f61, 0xbeb8fc850d774fbd, 0x746b0395972b2643, 0x79274c00142324c1]),
    ("saw", "less or equal", [0x35a8e6d05b539f4f, 0x7b46a729e87793f4, 0x43d97041496854c5, 0x0619ce2bd6cd20bf, 0x2b0ffaf255fb2b99, 0xc0095c3f1821a7ae, 0x3684b61235d8ede0, 0xdea20d25188b9de7, 0xa413d373e892953a]),
    ("nearly", "less", [0x192970c4cba57cc6, 0x0ce7d2dd7775cb73, 0xfa5d6f1015c7e978, 0x66fccdc0f88880f1, 0x31375189ef0fc0af, 0xc0d322118eb81073, 0xd8ae0bb7ea36eeb1, 0xb5416e7c7630245c, 0xe069783dcc7e6127]),
    ("nearly", "less or equal", [0xc56f835c2ac41e2f, 0x0ce7d2dd7775cb73, 0xa6c9c791e4ce1920, 0x308bd169ea68500a, 0x31375189ef0fc0af, 0x511459ddbfa89f78, 0xd8ae0bb7ea36eeb1, 0xb9fe576b9d7c3132, 0x724f0f963855596d]),
    ("backwards", "less", [0xf876f1b004cd8b31, 0xf41fa6eea63b4148, 0xff61638a4ac22b4e, 0xedb1738a19cfa4d6, 0x0caef0aecc6462a8, 0x717a2481b63f46e5, 0xefdac4177b67ac82, 0xee39559fd79ecc71, 0x1c54effa1da8139b]),
    ("backwards", "less or equal", [0x4345d65c667a27c9, 0xf41fa6eea63b4148, 0x4e93c2be79d0ce7c, 0x35c35455b97588e3, 0x0caef0aecc6462a8, 0x2fc2a45a3bdcb595, 0xefdac4177b67ac82, 0x71546d28d16e48d8, 0x4f1751395eaf142d]),
    ("last", "less", [0x67dd9acaefb36e91, 0xe5e833f7e7dd7f27, 0x5b7055e868cfc761, 0xd43ac3322ad77005, 0x492b9c672e8e22b7, 0xbd9daae8f0a61760, 0xa221ad9cc92594e8, 0x788535d05325ccdf, 0xbdf3811952dc41be]),
    ("last", "less or equal", [0x35a8e6d05b539f4f, 0xf03a5faf3664beaf, 0x6851d40a1f838a81, 0x6fba7dd010aea365, 0x9f6b460b991b99fd, 0x4ff8759975cab978, 0xc6aeedd57b3d8cae, 0x22cfdf7345deb73d, 0xce0a775a56e3f62e]),
];

#[test]
fn compares_and_leaves_what_go_does() {
    for (pattern, kind, want) in GO {
        let got = LENGTHS.map(|length| {
            let mut seen = Digest::new();
            let mut data: Vec<(u64, u64)> = keys(pattern, length).into_iter().zip(0..).collect();
            sort_slice(&mut data, |a, b| {
                seen.add(a.1);
                seen.add(b.1);
                // "Less or equal" is no order, as comparisons with the present time are none.
                a.0 < b.0 || (kind != "less" && a.0 == b.0)
            });
            data.iter().for_each(|(_, id)| seen.add(*id));
            if kind == "less" {
                assert!(data.is_sorted_by_key(|(key, _)| *key), "{pattern} {length}");
            }
            seen.0
        });
        assert_eq!(got, want, "{pattern}, {kind}");
    }
}

/// Decides what is less while it is asked, so that every pivot is bad (McIlroy): the heap takes over.
#[test]
fn an_adversary_finds_what_go_does() {
    #[rustfmt::skip]
    let want = [0xf7902da949603c1c, 0x1f894605d3c184c6, 0x0d04a6012b51365e, 0x1580af2fb540ea50, 0x84d16a903b2a010e, 0xda62bdd6d62cac56, 0xe55654da697a523e, 0xdacad7f77446b785, 0x8ddff2b6cc52f48d];
    let got = LENGTHS.map(|length| {
        let mut seen = Digest::new();
        let gas = length as u64;
        let (mut value, mut solid, mut candidate) = (vec![gas; length], 0, 0);
        let mut data: Vec<usize> = (0..length).collect();
        sort_slice(&mut data, |&x, &y| {
            seen.add(x as u64);
            seen.add(y as u64);
            if value[x] == gas && value[y] == gas {
                value[if x == candidate { x } else { y }] = solid;
                solid += 1;
            }
            if value[x] == gas {
                candidate = x;
            } else if value[y] == gas {
                candidate = y;
            }
            value[x] < value[y]
        });
        data.iter().for_each(|id| seen.add(*id as u64));
        seen.0
    });
    assert_eq!(got, want);
}

/// Answers that are drawn, whatever is asked: so many of a hundred say yes. Every length below 300.
#[test]
fn whims_are_obeyed_as_go_does() {
    let want = [
        (5, 0x67e9add7d54ba05b),
        (20, 0x8b381dcb3694286a),
        (50, 0xa93c71672c6f3643),
        (80, 0x7d6a90e04f11b5aa),
        (95, 0x5cb7d0ed3bfee69d),
    ];
    for (yes, digest) in want {
        let mut seen = Digest::new();
        for length in 0..300 {
            let mut random = length;
            let mut data: Vec<u64> = (0..length).collect();
            sort_slice(&mut data, |a, b| {
                seen.add(*a);
                seen.add(*b);
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) % 100 < yes
            });
            data.iter().for_each(|id| seen.add(*id));
        }
        assert_eq!(seen.0, digest, "{yes} of a hundred");
    }
}

#[test]
fn sorts() {
    let mut random = 1u64;
    for length in (0..200).chain([1000, 5000]) {
        for range in [2, 10, 1_000_000] {
            let mut data: Vec<u64> = (0..length)
                .map(|_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (random >> 33) % range
                })
                .collect();
            let mut want = data.clone();
            want.sort_unstable();
            sort_slice(&mut data, |a, b| a < b);
            assert_eq!(data, want, "{length} {range}");
            sort_slice(&mut data, |a, b| a > b);
            want.reverse();
            assert_eq!(data, want, "reversed {length} {range}");
        }
    }
}

#[test]
fn few_elements_are_inserted() {
    // Equal ones keep their order,
    let mut data = [(1, 'a'), (0, 'b'), (1, 'c'), (0, 'd')];
    sort_slice(&mut data, |a, b| a.0 < b.0);
    assert_eq!(data.map(|d| d.1), ['b', 'd', 'a', 'c']);
    // and a comparison that always says yes turns them round.
    let mut data = ['a', 'b', 'c', 'd', 'e'];
    sort_slice(&mut data, |_, _| true);
    assert_eq!(data, ['e', 'd', 'c', 'b', 'a']);
}
