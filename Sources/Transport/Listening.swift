package import NIOCore
package import NIOPosix

extension ServerBootstrap {
    /// A server on TCP with the options that all of ours share.
    ///
    /// One read per wake-up (`maxMessagesPerRead`): no connection keeps others of its loop waiting.
    package static func listening(on group: any EventLoopGroup) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                // Without it, running out of file descriptors would keep the accepting loop busy with failing.
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptBackoffHandler(shouldForwardIOErrorCaught: false)
                    )
                }
            }
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 1)
    }
}
