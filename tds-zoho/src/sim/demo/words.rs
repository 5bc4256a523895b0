//! The words that names consist of. They are common words, and no real person's name.

pub(crate) const PRODUCTS: &[(&str, &str)] = &[
    ("Fast charger 25W", "Chargers"),
    ("شاحن سريع 45W", "Chargers"),
    ("USB-C cable", "Cables"),
    ("كيبل شحن مضفر", "Cables"),
    ("Silicone case", "Cases"),
    ("كفر سيليكون", "Cases"),
    ("Screen protector 9H", "Protection"),
    ("حماية شاشة زجاج", "Protection"),
    ("Power bank 20000 mAh", "Power"),
    ("باور بانك 10000", "Power"),
    ("Bluetooth speaker", "Audio"),
    ("سماعة بلوتوث", "Audio"),
    ("Car holder", "Car"),
    ("حامل موبايل للسيارة", "Car"),
    ("Memory card 64 GB", "Storage"),
    ("فلاش ميموري 32 GB", "Storage"),
    ("LCD display", "Spare parts"),
    ("بطارية داخلية", "Spare parts"),
];
pub(crate) const SERVICES: &[&str] = &["Screen repair", "صيانة لوحة", "Delivery", "Software update"];
pub(crate) const BRANDS: &[&str] = &["Dijla", "Furat", "Zagros", "Babil", "Noor", ""];
pub(crate) const MODELS: &[&str] =
    &["A14", "A54", "S23", "S24", "Note 12", "13 Pro", "14", "15 Pro Max", "X6", "Y9"];
pub(crate) const COLOURS: &[&str] = &["Black", "White", "Blue", "أسود", "أبيض", "أزرق"];
pub(crate) const FIRST: &[&str] =
    &["Ali", "Zainab", "Omar", "Sara", "Mustafa", "Noor", "علي", "زينب", "عمر", "سارة", "مصطفى", "نور"];
pub(crate) const FAMILY: &[&str] =
    &["Hassan", "Kareem", "Jabbar", "Salman", "Majeed", "حسن", "كريم", "جبار", "سلمان", "مجيد"];
pub(crate) const SHOPS: &[&str] =
    &["Mobile", "Phone Center", "Accessories", "Trading", "للموبايل", "مركز الاتصالات", "للتجارة العامة"];
pub(crate) const SUPPLIERS: &[&str] = &["Electronics Co.", "Import & Export", "Supply LLC", "Wholesale Ltd."];
pub(crate) const STREETS: &[(&str, &str)] = &[
    ("Baghdad", "Karrada, Inner Street"),
    ("Baghdad", "المنصور، شارع 14 رمضان"),
    ("Baghdad", "Bab Al-Sharqi, Phone Market"),
    ("Basra", "العشار، شارع الكويت"),
    ("Basra", "Al-Jazair Street"),
    ("Erbil", "Iskan, 60 Meter Street"),
    ("Erbil", "شارع الشيخ محمود"),
];
pub(crate) const REASONS: &[&str] =
    &["Stocktaking results", "Damaged goods", "Stolen goods", "Inventory revaluation"];
