"""The seams of the house: what the rooms know of each other, and no more.

Attributes and methods are documented here once; the classes that implement them say only how.
"""

from chatd.interfaces.files import (
    IUploads,
)
from chatd.interfaces.media import (
    IMediaEngine,
    IMeetings,
)
from chatd.interfaces.people import (
    IAccountChecker,
    IAuthentication,
    IDirectories,
    IIdentity,
    IInvitations,
    ITokens,
)
from chatd.interfaces.sessions import (
    IAccount,
    IAccounts,
    IClientStream,
    IRemote,
    IRouter,
    IService,
    ISession,
    IVisits,
)
from chatd.interfaces.store import (
    IAccountStore,
    IArchiveStore,
    IBlockingStore,
    IFastTokenStore,
    IInvitationStore,
    ILastStore,
    IMeetingStore,
    INoticeStore,
    IOfflineStore,
    IPepStore,
    IPrivateStore,
    IPushStore,
    IReportStore,
    IRoomStore,
    IRosterStore,
    IStore,
    IUploadStore,
    IVCardStore,
    IWebmailStore,
)

__all__ = [
    "IAccount",
    "IAccountChecker",
    "IAccountStore",
    "IAccounts",
    "IArchiveStore",
    "IAuthentication",
    "IBlockingStore",
    "IClientStream",
    "IDirectories",
    "IFastTokenStore",
    "IIdentity",
    "IInvitationStore",
    "IInvitations",
    "ILastStore",
    "IMediaEngine",
    "IMeetingStore",
    "INoticeStore",
    "IMeetings",
    "IOfflineStore",
    "IPepStore",
    "IPrivateStore",
    "IPushStore",
    "IRemote",
    "IReportStore",
    "IRoomStore",
    "IRosterStore",
    "IRouter",
    "IService",
    "ISession",
    "IStore",
    "ITokens",
    "IUploadStore",
    "IUploads",
    "IVCardStore",
    "IVisits",
    "IWebmailStore",
]
