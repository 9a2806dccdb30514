"""Who sends codes that are never rented numbers' business: banks, payment services and authorities, by their words."""

from typing import Final

BANKS: Final = (
    # India
    "hdfc", "hdfc bank", "sbi", "state bank of india", "yono", "icici", "icici bank", "axis bank", "kotak bank", "kotak mahindra", "kotak 811", "kotak811", "pnb one",
    "punjab national bank", "bank of baroda", "bob world", "canara bank", "union bank of india", "idfc first",
    "indusind", "yes bank", "federal bank", "fedmobile", "rbl bank", "idbi bank", "bank of india", "central bank of india",
    "indian bank", "indoasis", "indian overseas bank", "uco bank", "au small finance bank", "au bank", "bandhan bank",
    "airtel payments bank", "india post payments bank", "ippb", "fino payments bank", "jupiter money", "fi money",
    "karnataka bank", "south indian bank", "karur vysya", "city union bank", "dbs bank", "digibank", "hsbc", "citibank",
    "standard chartered", "deutsche bank", "american express", "amex", "sbi card", "onecard", "bajaj finserv",
    "bajaj finance", "tata capital", "muthoot", "manappuram", "kreditbee", "moneytap", "navi finserv", "zerodha kite",
    "groww", "angel one", "upstox", "cdsl", "nsdl", "cibil", "equitas", "ujjivan", "jana bank", "saraswat bank",
    # elsewhere
    "barclays", "lloyds bank", "natwest", "santander", "monzo", "starling bank", "revolut", "n26", "bank of america",
    "wells fargo", "chase bank", "capital one", "us bank", "td bank", "scotiabank", "bbva", "caixabank", "nubank", "itaú",
    "bradesco", "banco do brasil", "caixa econômica", "sparkasse", "commerzbank", "deutsche kreditbank", "bnp paribas",
    "société générale", "crédit agricole", "boursorama", "ing bank", "rabobank", "intesa sanpaolo", "unicredit",
    "сбербанк", "сбер", "sberbank", "тинькофф", "т-банк", "tinkoff", "альфа-банк", "alfabank", "втб", "vtb",
    "райффайзен", "приватбанк", "privatbank", "monobank", "kaspi", "halyk", "bank mandiri", "bank bca", "mybca", "bri mo",
    "maybank", "cimb", "bdo unibank", "vietcombank", "techcombank", "bangkok bank", "kasikorn", "garanti bbva", "ziraat",
    "akbank", "iş bankası", "al rajhi", "emirates nbd", "adcb", "gtbank", "access bank", "zenith bank",
)  # fmt: skip
"""Names that mean a bank, a lender or a broker wherever they stand."""

PAYMENTS: Final = (
    "paytm", "phonepe", "google pay", "gpay", "bhim upi", "bhim app", "to bhim", "on bhim", "mobikwik", "freecharge", "amazon pay", "payzapp",
    "jio payments", "jiomoney", "lazypay", "cred pay", "billdesk", "ccavenue", "payu", "npci", "rupay", "paypal",
    "venmo", "cash app", "zelle", "skrill", "neteller", "payoneer", "alipay", "wechat pay", "western union", "moneygram",
    "remitly", "qiwi", "юmoney", "yoomoney", "m-pesa", "mpesa", "easypaisa", "jazzcash", "bkash", "gcash", "paymaya",
    "gopay", "mercado pago", "picpay", "visa secure", "mastercard identity check", "verified by visa",
)  # fmt: skip
"""The same of wallets, cards and ways to pay."""

GOVERNMENT: Final = (
    "aadhaar", "aadhar", "uidai", "m-aadhaar", "maadhaar", "आधार", "digilocker", "digi locker", "income tax department",
    "income tax", "incometax", "e-filing", "efiling", "epfo", "uan", "gst portal", "gstn", "gstin", "passport seva",
    "parivahan", "vahan portal", "umang login", "umang app", "cowin", "co-win", "e-shram", "eshram", "abha creation", "abha number", "abha card", "ayushman", "pmjay",
    "pm-kisan", "pmkisan", "voter portal", "voter id", "eci", "national scholarship portal", "e-district", "mca21",
    "pan card", "protean", "npscra", "udyam", "meri pehchaan", "jan parichay", "apaar",
    "hmrc", "gov.uk", "login.gov", "id.me", "irs", "social security administration", "uscis", "gov.br", "госуслуги",
    "gosuslugi", "дія", "e-devlet", "franceconnect", "ameli.fr", "elster", "bundid", "absher", "nafath", "uae pass",
    "singpass", "mygov", "mygovid", "nadra pakistan",
)  # fmt: skip
"""The same of authorities: identity, tax, social security, licences."""

PHRASES: Final = (
    "net banking", "netbanking", "internet banking", "mobile banking", "upi pin", "upi registration", "upi id",
    "set upi", "upi txn", "upi transaction", "mpin", "atm pin", "debit card", "credit card", "demat", "ifsc", "neft", "imps",
    "rtgs", "e-mandate", "autopay mandate", "beneficiary", "3d secure", "3ds", "cvv", "онлайн-банк", "банковская карта", "банковской карты", "банковской картой",
    "tarjeta de débito", "tarjeta de crédito", "cartão de crédito", "cartão de débito", "carte bancaire", "banque en ligne",
    "onlinebanking", "online-banking", "tan für", "internet bankacılığı", "kartınız",
)  # fmt: skip
"""Words that only such senders use in a message with a code."""

SENDERS: Final[dict[str, str]] = {
    **dict.fromkeys((
        "HDFCBK", "HDFCBN", "SBIINB", "SBIOTP", "SBIUPI", "SBIPSG", "CBSSBI", "ATMSBI", "SBICRD", "ICICIB", "ICICIT",
        "ICICIO", "AXISBK", "AXISMR", "KOTAKB", "PNBSMS", "PNBOTP", "BOBSMS", "BOBTXN", "BOBOTP", "CANBNK", "UNIONB",
        "UBOIBK", "IDFCFB", "INDUSB", "YESBNK", "FEDBNK", "RBLBNK", "RBLCRD", "IDBIBK", "BOIIND", "CENTBK", "INDBNK",
        "IOBCHN", "UCOBNK", "AUBANK", "BANDHN", "AIRBNK", "IPBMSG", "CITIBK", "HSBCIN", "SCBANK", "DBSBNK", "AMEXIN",
        "BAJAJF", "BFLOTP", "ONECRD", "KVBANK", "SIBSMS", "KBLBNK", "CUBANK", "ZERODH", "GROWWZ", "UPSTOX", "NSDLDP",
        "CDSLTX", "CIBILS",
    ), "bank"),
    **dict.fromkeys((
        "PAYTMB", "PYTMTM", "IPAYTM", "PHONPE", "PHNPEB", "GPAYIN", "NPCIUP", "BHIMUP", "NPCIBH", "MOBIKW", "FRCHRG",
        "AMZPAY", "PAYPAL", "LAZYPY", "CREDIN", "BILDSK",
    ), "payment"),
    **dict.fromkeys((
        "UIDAIG", "AADHAR", "UIDAI", "DIGLKR", "DGLOCK", "ITDEFL", "ITDCPC", "ITDEPT", "EPFOHO", "GSTNIT", "GOVGST",
        "MEAPSK", "VAAHAN", "SARTHI", "UMANGG", "COWINO", "NHPSMS", "ESHRAM", "ABDMIN", "NVSPIN", "ECISVP", "NICSMS",
        "PANNSD", "UTIPAN", "GOVUK",
    ), "government"),
}  # fmt: skip
"""Registered headers of Indian senders, without the letters of operator and kind around them (`VM-HDFCBK-S`)."""
